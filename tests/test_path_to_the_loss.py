"""From `hierrouter train` to the PPO loss a reader opens at most eight files.

Followed are names. A module's top-level function, class or variable leads to every other one of the package that its
body mentions by an imported or own name (`loss`, `learner.advance`), wherever in the body, so that what is handed to
`jit`, `grad` or a table of algorithms counts as called. What lies both behind the verb's function and before the loss
is the way. What a function on the way calls besides, but from where no name leads to the loss, is not on it; methods of
objects are not followed either.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "hierrouter_jax"
PAGE = ROOT / "docs" / "architecture.md"
HEADING = "From `hierrouter train` to the PPO loss"
MOST = 8
# Until the page has its list.
FILES = ("cli/train.py", "cli/runs.py", "training/train.py", "agents/learner.py", "agents/ppo.py")

Place = tuple[str, str]  # a module, by its path in the package, and a top-level name of it


@dataclass
class Module:
    """What a file defines at its top level, and what the names that it imports stand for.

    Attributes:
      bodies: the statements that define each top-level name.
      modules: paths of the package's modules by the names that they are imported as.
      members: a module's path and a name of it, by the names that they are imported as.
    """

    bodies: dict[str, ast.AST]
    modules: dict[str, str]
    members: dict[str, Place]


def read(folder: Path) -> dict[str, Module]:
    """All modules of the package in `folder`, by their paths in it."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.py"))}
    return {name: read_module(path.read_text(encoding="utf-8"), set(files)) for name, path in files.items()}


def read_module(text: str, files: set[str]) -> Module:
    tree = ast.parse(text)
    bodies = {name: node for node in tree.body for name in defined(node)}
    modules, members = {}, {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            inside = node.module.split(".")[1:]
            for alias in node.names:
                whole = "/".join([*inside, alias.name]) + ".py"
                if whole in files:
                    modules[alias.asname or alias.name] = whole
                elif inside:
                    members[alias.asname or alias.name] = ("/".join(inside) + ".py", alias.name)
    return Module(bodies, modules, members)


def defined(node: ast.stmt) -> list[str]:
    """The names that a top-level statement binds, but for imports."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]


def steps(place: Place, package: dict[str, Module]) -> Iterator[Place]:
    """The places of the package that one place's body mentions."""
    module = package[place[0]]
    for node in ast.walk(module.bodies[place[1]]):
        if isinstance(node, ast.Name):
            yield from resolved((place[0], node.id), package)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in module.modules:
            yield from resolved((module.modules[node.value.id], node.attr), package)


def resolved(place: Place, package: dict[str, Module]) -> Iterator[Place]:
    """Where a name of a module is defined: there, or in the module that it is imported from."""
    module = package.get(place[0])
    if module and place[1] in module.bodies:
        yield place
    elif module and place[1] in module.members:
        yield from resolved(module.members[place[1]], package)


def reachable(start: Place, edges: dict[Place, set[Place]]) -> set[Place]:
    reached, left = {start}, [start]
    while left:
        fresh = edges.get(left.pop(), set()) - reached
        reached |= fresh
        left += fresh
    return reached


def way(package: dict[str, Module], start: Place, goal: Place) -> set[Place]:
    """All places that lie on some chain of names from the start to the goal; none where no chain leads there."""
    edges = {(file, name): set(steps((file, name), package)) for file in package for name in package[file].bodies}
    backward: dict[Place, set[Place]] = {}
    for place, there in edges.items():
        for other in there:
            backward.setdefault(other, set()).add(place)
    return reachable(start, edges) & reachable(goal, backward)


def listed() -> list[str]:
    """The files that the architecture page lists, by their paths in the package; `FILES` until there is a page."""
    if not PAGE.is_file():
        return [file for file in FILES if (ROOT / PACKAGE / file).is_file()]
    section = PAGE.read_text(encoding="utf-8").split(f"## {HEADING}\n")[1].split("\n## ")[0]
    return re.findall(rf"^[-*] `{PACKAGE}/([\w/]+\.py)`", section, flags=re.MULTILINE)


def test_a_reader_meets_the_listed_files_alone():
    files, package = listed(), read(ROOT / PACKAGE)
    assert 0 < len(set(files)) <= MOST
    assert set(files) <= set(package)
    start = next(
        file for file in ("cli/train.py", "cli/runs.py") if file in package and "train" in package[file].bodies
    )
    on_the_way = way(package, (start, "train"), ("agents/ppo.py", "loss"))
    assert {file for file, _ in on_the_way} <= set(files), sorted(on_the_way)
    assert {(start, "train"), ("training/train.py", "train_routers"), ("agents/ppo.py", "loss")} <= on_the_way


WAY = {
    "cli/train.py": "def train():\n    from hierrouter_jax.training.train import run\n    run()",
    "training/train.py": "from hierrouter_jax.agents import learner\nrun = lambda: jit(lambda: learner.update())",
    "agents/learner.py": "from hierrouter_jax.agents import ppo\nALL = {'ppo': ppo.update}\ndef update():\n    ALL[0]()",
    "agents/ppo.py": "from hierrouter_jax.aside import rest\ndef loss(): ...\ndef update():\n    rest(), grad(loss)",
    "aside.py": "def rest():\n    pass",
}


@pytest.mark.parametrize(
    ("file", "text", "met"),
    [
        ("aside.py", WAY["aside.py"], False),  # called on the way, but leads nowhere
        ("aside.py", "from hierrouter_jax.agents.ppo import loss\ndef rest():\n    return [loss]", True),
        ("aside.py", "from hierrouter_jax.agents import ppo\ndef other():\n    ppo.loss()", False),  # not called
        ("aside.py", "class Rest:\n    def loss(self):\n        pass\ndef rest():\n    Rest().loss()", False),
    ],
)
def test_a_file_between_is_met_and_one_beside_the_way_is_not(tmp_path, file, text, met):
    for name, its in (WAY | {file: text}).items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(its)
    found = way(read(tmp_path), ("cli/train.py", "train"), ("agents/ppo.py", "loss"))
    files = {name for name, _ in found}
    assert files == set(WAY) - ({"aside.py"} if not met else set())
    assert ("agents/learner.py", "ALL") in found


def test_where_no_name_leads_to_the_loss_there_is_no_way(tmp_path):
    for name, text in (WAY | {"agents/learner.py": "def update():\n    pass"}).items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert way(read(tmp_path), ("cli/train.py", "train"), ("agents/ppo.py", "loss")) == set()
