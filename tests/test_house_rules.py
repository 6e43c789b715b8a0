"""Rules for single files: their length and number, no circles, nobody's private names, one place to run a policy."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.import_graph import PACKAGE, ROOT, build, imported_names, module_name, running

MAX_MODULES = 325  # 235 without what serves, logs, exports and learns from logs
# Tests and scripts may be longer: a test file holds the cases of one module, which are read one at a time.
MAX_LINES = {PACKAGE: 300, "tests": 400, "scripts": 400}
TUPLES = {"_fields", "_replace", "_asdict", "_make"}  # public names of every NamedTuple, in spite of their underscore
RUNNING = {"build_network", "decision_masks", "end_probability"}  # the parts of running a policy on a table


def overlong(folder: Path, most: int) -> list[str]:
    files = sorted(folder.rglob("*.py"))
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    return [f"{path} has {length} lines" for path, length in lengths.items() if length > most]


def modules_of(folder: Path) -> list[str]:
    """All modules but the folders' `__init__`, which only hand names on."""
    return [module_name(path, folder) for path in sorted(folder.rglob("*.py")) if path.name != "__init__.py"]


def circles(folder: Path) -> list[str]:
    """One sentence for each module that importing leads back to, over other modules or at once."""
    files = {module_name(path, folder): path for path in sorted(folder.rglob("*.py"))}
    graph = {name: set(imported_modules(name, path, set(files))) for name, path in files.items()}
    return [" -> ".join(chain) for name in graph if (chain := shortest_circle(name, graph))]


def imported_modules(name: str, path: Path, known: set[str]) -> Iterator[str]:
    """The package's modules that a file imports, in functions too: those named, not the folders that they lie in."""
    here = f"{PACKAGE}.{name if path.name == '__init__.py' else name.rpartition('.')[0]}".rstrip(".")
    for node in running(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            full = [one for one in imported_names(node, here) if one.split(".")[0] == PACKAGE]
            inside = [one.removeprefix(PACKAGE).lstrip(".") for one in full]
            yield from [one for one in inside[1:] if one in known] or [one for one in inside[:1] if one in known]


def shortest_circle(start: str, graph: dict[str, set[str]]) -> list[str] | None:
    queue, seen = [[start]], {start}
    for chain in queue:
        for name in sorted(graph[chain[-1]]):
            if name == start:
                return [*chain, name]
            if name not in seen:
                seen.add(name)
                queue.append([*chain, name])
    return None


def private_imports(folder: Path) -> list[str]:
    """One sentence for each private name that a file takes from another module of the package."""
    return [
        f"{path.relative_to(folder)} takes {name} from {base}"
        for path in sorted(folder.rglob("*.py"))
        for base, name in names_of_others(ast.parse(path.read_text(encoding="utf-8")))
        if name.startswith("_") and not name.startswith("__") and name not in TUPLES
    ]


def names_of_others(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Modules of the package and what is taken from each: by `from module import name` and by `module.name`."""
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] == PACKAGE):
            for alias in node.names:
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield str(node.module), alias.name
        elif isinstance(node, ast.Import):
            aliases |= {one.asname: one.name for one in node.names if one.asname and one.name.startswith(PACKAGE)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
            yield aliases[node.value.id], node.attr


def runners(folders: list[Path]) -> list[str]:
    """Files that put together what running a policy on a table takes: those that call at least two of its parts."""
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return [str(path) for path in files if len(called_names(path) & RUNNING) > 1]


def called_names(path: Path) -> set[str]:
    """Names of what a file calls, without what stands before their last dot."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return {ast.unparse(function).rpartition(".")[2] for function in calls}


def test_a_policy_is_run_on_a_table_in_one_place_only():
    place = ROOT / PACKAGE / "evaluation" / "tree_policy.py"
    assert runners([ROOT / PACKAGE, ROOT / "scripts", ROOT / "docs"]) == [str(place)]
    assert called_names(place) >= RUNNING


def test_a_second_place_that_runs_policies_is_caught(tmp_path):
    one = "def ends(table):\n    return exact.end_probability(probs, table.tree)"
    two = one + "\n\nmask = routing.decision_masks(table, True)"
    build(tmp_path, {"studies/one.py": one, "studies/two.py": two})
    assert [Path(path).name for path in runners([tmp_path])] == ["two.py"]


@pytest.mark.parametrize("folder", MAX_LINES)
def test_no_file_is_too_long_to_read(folder):
    assert overlong(ROOT / folder, MAX_LINES[folder]) == []


def test_an_overlong_file_is_caught(tmp_path):
    build(tmp_path, {"long.py": "\n" * 301, "short.py": "\n" * 300})
    assert [line.rpartition("/")[2] for line in overlong(tmp_path, MAX_LINES[PACKAGE])] == ["long.py has 301 lines"]


def test_the_package_has_few_modules():
    assert len(modules_of(ROOT / PACKAGE)) <= MAX_MODULES


def test_modules_are_counted_without_what_only_hands_names_on(tmp_path):
    folder = build(tmp_path, {"__init__.py": "", "one.py": "", "room/__init__.py": "", "room/two.py": ""})
    assert modules_of(folder) == ["one", "room.two"]


def test_no_module_imports_itself_round_a_circle():
    assert circles(ROOT / PACKAGE) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "from hierrouter_jax.room import one",
            ["room.one -> room.two -> room.one", "room.two -> room.one -> room.two"],
        ),
        ("from .one import name", ["room.one -> room.two -> room.one", "room.two -> room.one -> room.two"]),
        ("try:\n    import hierrouter_jax.room.two\nexcept ImportError:\n    pass", ["room.two -> room.two"]),
        ("if TYPE_CHECKING:\n    from hierrouter_jax.room import one", []),
        ("from hierrouter_jax.room import three", []),  # whose folder hands on names of this very module
    ],
)
def test_a_circle_is_caught(tmp_path, text, found):
    files = {
        "room/__init__.py": "from hierrouter_jax.room.two import name",
        "room/one.py": "import numpy\nfrom hierrouter_jax.room.two import name",
        "room/two.py": text,
        "room/three.py": "",
    }
    assert circles(build(tmp_path, files)) == found


@pytest.mark.parametrize("folder", [PACKAGE, "scripts"])
def test_nobody_takes_anothers_private_name(folder):
    assert private_imports(ROOT / folder) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from hierrouter_jax.two import _name", ["one.py takes _name from hierrouter_jax.two"]),
        ("def f():\n    from .two import _name", ["one.py takes _name from two"]),
        ("from hierrouter_jax import two\ntwo._name()", ["one.py takes _name from hierrouter_jax.two"]),
        ("import hierrouter_jax.two as t\nt._name()", ["one.py takes _name from hierrouter_jax.two"]),
        ("from hierrouter_jax.two import __version__, Name\nName.__doc__, Name._fields", []),
        ("import _ctypes\nfrom os import _exit\n_own = 1\nself._own", []),
    ],
)
def test_who_takes_a_private_name_is_caught(tmp_path, text, found):
    assert private_imports(build(tmp_path, {"one.py": text, "two.py": ""})) == found
