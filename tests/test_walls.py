"""The walls of the house hold: each is checked from the import graph, and each check catches who crosses it."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.import_graph import PACKAGE, ROOT, build, imported_names, module_name

JAX = {"jax", "jaxlib", "flax", "optax", "chex", "distrax", "orbax", "tensorflow_probability", "tensorstore"}
LIVE = {"torch", "transformers", "tokenizers", "datasets", "accelerate", "num2words", "fastapi", "starlette", "uvicorn"}
FILES = {"os", "pathlib", "io", "json", "shutil", "tempfile", "subprocess", "socket", "pickle", "sqlite3", "urllib"} | {
    "pyarrow", "pandas", "safetensors", "yaml", "orbax", "tqdm", "rich", "matplotlib", "logging",
}  # fmt: skip
HOST_CALLS = {"open", "print", "input", "io_callback", "pure_callback", "jax.debug", "read_text", "write_text"} | {
    f"{module}.{name}" for module in ("np", "numpy", "jnp") for name in ("load", "save", "savez", "loadtxt", "memmap")
}
IO_MODULES = {"files", "outcomes.store", "outcomes.importers"}


@dataclass(frozen=True)
class Room:
    """Where a module lies: imports point to a lower level of the same wing, or to the ground floor."""

    wing: str
    level: int
    pure: bool = False


GROUND, BOTH, NOWHERE = Room("ground", 0), Room("both", 10), Room("nowhere", 11)
ROOMS = {
    "": GROUND,
    "_version": GROUND,
    "hop_tree": GROUND,
    "config": GROUND,
    "bundle": GROUND,
    "bundle_card": GROUND,
    "bundle_checks": GROUND,
    "bundle_graph": GROUND,
    "bundle_onnx": GROUND,
    "bundle_logits": GROUND,
    "claims": GROUND,
    "domains": GROUND,
    "files": GROUND,
    "interrupts": GROUND,
    "processor": GROUND,
    "sums": GROUND,
    "errors": GROUND,
    "plugins": GROUND,
    "learner_config": GROUND,
    "moved": GROUND,
    "outcomes": GROUND,
    "envs": Room("learning", 1, pure=True),
    "policies": Room("learning", 2, pure=True),
    "evaluation": Room("learning", 3, pure=True),
    "agents": Room("learning", 4, pure=True),
    "baselines": Room("learning", 5),
    "training": Room("learning", 6),
    "sweeps": Room("learning", 7),
    "studies": Room("learning", 8),
    "report": Room("learning", 9),
    "tiny": Room("live", 1),
    "bridge": Room("live", 2),
    "serve": Room("live", 3),
    "quickstart": Room("both", 9),
    "quickstart_config": Room("both", 9),
    "cli": BOTH,
    "__main__": BOTH,
}
FORBIDDEN = {"ground": JAX | LIVE, "learning": LIVE, "live": JAX, "both": set(), "nowhere": set()}


@dataclass(frozen=True)
class Module:
    """A module of the package, by its name without the package.

    Attributes:
      inside: modules of the package that it imports, and the packages those lie in.
      outside: top-level names of the libraries that it imports.
      handed_on: names that it takes from the package's front, `hierrouter_jax/__init__.py`, and not from a module.
      host: what it calls of the host: files, the console, callbacks, globals.
    """

    name: str
    inside: frozenset[str]
    outside: frozenset[str]
    handed_on: frozenset[str]
    host: frozenset[str]

    @property
    def room(self) -> Room:
        """The room of the longest matching prefix; the package's own `__init__` is on the ground floor."""
        parts = self.name.split(".")
        prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        return next((ROOMS[prefix] for prefix in prefixes if prefix in ROOMS), NOWHERE)


def read_package(folder: Path) -> dict[str, Module]:
    """All modules of the package in `folder`, by their names without the package."""
    paths = {module_name(path, folder): path for path in sorted(folder.rglob("*.py"))}
    return {name: read_module(name, path, set(paths)) for name, path in paths.items()}


def read_module(name: str, path: Path, known: set[str]) -> Module:
    """Imports at any depth of the file: in functions, under TYPE_CHECKING and by `import_module("...")` too.

    The package's front alone may show a type checker the names that it hands on when they are asked for.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not name:
        tree.body = [
            node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        ]
    here = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imported = set(imported_names(tree, f"{PACKAGE}.{here}".rstrip(".")))
    inside = {full.removeprefix(PACKAGE).lstrip(".") for full in imported if full.split(".")[0] == PACKAGE}
    outside = {full.split(".")[0] for full in imported} - {PACKAGE}
    folders = {dotted.split(".")[0] for dotted in known}
    handed_on = {full for full in inside - folders - {"", "__version__"} if "." not in full}
    found = with_parents(inside, known) - {name}
    return Module(name, frozenset(found), frozenset(outside), frozenset(handed_on), host_calls(tree))


def with_parents(names: set[str], known: set[str]) -> set[str]:
    """The modules among `names` and the packages they lie in, whose `__init__` an import runs too."""
    parts = [name.split(".") for name in names]
    return {".".join(part[:length]) for part in parts for length in range(1, len(part) + 1)} & known


def host_calls(tree: ast.AST) -> frozenset[str]:
    found = {"global" for node in ast.walk(tree) if isinstance(node, ast.Global)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            written = ast.unparse(node)
            found |= {written, written.rpartition(".")[2]} & HOST_CALLS
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} & HOST_CALLS
            found |= {alias.name for alias in node.names} & HOST_CALLS
    return frozenset(found)


def chains(start: str, modules: dict[str, Module]) -> Iterator[list[str]]:
    """The shortest chain of imports from `start` to each module that it reaches, itself first."""
    queue, seen = [[start]], {start}
    for chain in queue:
        yield chain
        fresh = sorted(modules[chain[-1]].inside - seen)
        seen |= set(fresh)
        queue += [[*chain, name] for name in fresh]


def crossings(folder: Path) -> list[str]:
    """One sentence for each place where the package in `folder` crosses a wall."""
    modules = read_package(folder)
    found = [f"{name} lies in no room" for name, module in modules.items() if module.room == NOWHERE]
    for module in modules.values():
        found += crossed_edges(module, modules)
        found += crossed_chains(module, modules)
        found += impurities(module)
        found += [f"{module.name} takes {name} from the package's front" for name in sorted(module.handed_on)]
    importers = [name for name, module in modules.items() if "distrax" in module.outside]
    if len(importers) > 1 or any(not name.startswith("policies.") for name in importers):
        found.append(f"distrax is imported by {', '.join(importers)}, not by one module of policies alone")
    return found


def crossed_edges(module: Module, modules: dict[str, Module]) -> Iterator[str]:
    """Imports that point up, or from one wing into the other."""
    for name in sorted(module.inside):
        source, target = module.room, modules[name].room
        if target.wing not in ("ground", source.wing) and source.wing != "both":
            yield f"{module.name} ({source.wing}) imports {name} ({target.wing})"
        elif target.level > source.level:
            yield f"{module.name} imports {name}, which lies above it"


def crossed_chains(module: Module, modules: dict[str, Module]) -> Iterator[str]:
    """Libraries of the wrong side, and modules of the other wing, that a module reaches however far away."""
    for chain in chains(module.name, modules):
        last = modules[chain[-1]]
        banned = FORBIDDEN[module.room.wing] & last.outside
        if banned:
            yield f"{' -> '.join(chain)} ({module.room.wing}) imports {', '.join(sorted(banned))}"
        if {module.room.wing, last.room.wing} == {"learning", "live"}:
            yield f"{' -> '.join(chain)} reaches from {module.room.wing} to {last.room.wing}"


def impurities(module: Module) -> Iterator[str]:
    if module.room.pure:
        touched = (module.outside & FILES) | (module.inside & IO_MODULES) | module.host
        if touched:
            yield f"{module.name} is not pure: {', '.join(sorted(touched))}"


def test_no_wall_is_crossed():
    assert crossings(ROOT / PACKAGE) == []


def test_the_quickstart_and_the_command_line_alone_see_both_wings():
    modules = read_package(ROOT / PACKAGE)
    both = {name for name in modules if {"learning", "live"} <= {modules[to].room.wing for to in modules[name].inside}}
    assert all(name == "quickstart" or name.split(".")[0] in ("cli", "__main__") for name in both)


CLEAN = {
    "__init__.py": "if TYPE_CHECKING:\n    from hierrouter_jax.bridge.pool import Pool",
    "hop_tree.py": "import numpy as np",
    "config.py": "import yaml\nfrom hierrouter_jax import errors",
    "errors.py": "",
    "files.py": "import json\nfrom pathlib import Path",
    "outcomes/__init__.py": "from hierrouter_jax.outcomes.store import load",
    "outcomes/store.py": "import pyarrow\nfrom hierrouter_jax.files import read",
    "envs/__init__.py": "import jax\nfrom hierrouter_jax import outcomes, hop_tree",
    "policies/__init__.py": "",
    "policies/masking.py": "import distrax",
    "evaluation/exact.py": "import chex\nfrom ..envs import step",
    "agents/ppo/__init__.py": "import optax\nfrom hierrouter_jax.policies import masking",
    "baselines/knn.py": "import sklearn\nfrom hierrouter_jax.evaluation import exact",
    "training/__init__.py": "",
    "training/train.py": "import json\nfrom ..agents import ppo\nfrom ..baselines import knn",
    "quickstart.py": "from hierrouter_jax.training import train\nfrom hierrouter_jax.bridge import pool",
    "bridge/__init__.py": "",
    "bridge/pool.py": "import torch\nimport transformers\nfrom hierrouter_jax.outcomes import store",
    "serve/__init__.py": "import fastapi\nfrom hierrouter_jax.bridge import pool",
    "cli/__init__.py": "",
    "cli/main.py": "def main():\n    from .. import serve\n    from .. import quickstart",
}


def test_a_clean_house_passes(tmp_path):
    assert crossings(build(tmp_path, CLEAN)) == []


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("hop_tree.py", "def f():\n    import jax", "hop_tree (ground) imports jax"),
        ("config.py", "from transformers import AutoModel", "config (ground) imports transformers"),
        ("outcomes/store.py", "import flax.linen as nn", "outcomes.store (ground) imports flax"),
        ("outcomes/store.py", "from hierrouter_jax import envs", "outcomes.store (ground) imports envs (learning)"),
        ("__init__.py", "from hierrouter_jax import cli", " (ground) imports cli (both)"),
        ("baselines/knn.py", "import datasets", "training.train -> baselines.knn (learning) imports datasets"),
        ("agents/ppo/__init__.py", "def f():\n    import torch", "agents.ppo (learning) imports torch"),
        ("training/train.py", "from ..bridge import pool", "train (learning) imports bridge.pool (live)"),
        (
            "training/__init__.py",
            "from .. import quickstart",
            "training (learning) imports quickstart",
        ),
        ("training/train.py", "import importlib\nimportlib.import_module('fastapi')", "imports fastapi"),
        ("bridge/pool.py", "import orbax.checkpoint", "serve -> bridge.pool (live) imports orbax"),
        ("bridge/pool.py", "import hierrouter_jax.training.train as t", "pool (live) imports training.train"),
        ("bridge/pool.py", "from hierrouter_jax.serve import app", "bridge.pool imports serve, which lies above it"),
        ("envs/__init__.py", "from hierrouter_jax.agents import ppo", "envs imports agents.ppo, which lies above it"),
        ("agents/ppo/__init__.py", "import distrax", "distrax is imported by agents.ppo, policies.masking"),
        ("envs/__init__.py", "def f():\n    with open('x') as h: pass", "envs is not pure: open"),
        ("envs/__init__.py", "from pathlib import Path", "envs is not pure: pathlib"),
        ("envs/__init__.py", "import jax\njax.debug.print('x')", "envs is not pure: jax.debug"),
        ("envs/__init__.py", "from jax.experimental import io_callback", "envs is not pure: io_callback"),
        ("policies/__init__.py", "N = 0\ndef f():\n    global N", "policies is not pure: global"),
        ("evaluation/exact.py", "import numpy as np\nnp.save('x', 1)", "evaluation.exact is not pure: np.save"),
        ("agents/ppo/__init__.py", "import hierrouter_jax.outcomes.store", "agents.ppo is not pure: outcomes.store"),
        ("bridge/pool.py", "from hierrouter_jax import train", "bridge.pool takes train from the package's front"),
        ("shed/__init__.py", "", "shed lies in no room"),
    ],
)
def test_whoever_crosses_a_wall_is_caught(tmp_path, name, text, sentence):
    found = crossings(build(tmp_path, CLEAN | {name: text}))
    assert any(sentence in crossing for crossing in found), found


def run_python(code: str, *arguments: str) -> dict:
    """What a fresh interpreter prints as JSON on its last line."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_importing_the_package_is_quick_and_loads_neither_wing():
    code = """if True:
        import json, sys, time
        start = time.perf_counter()
        import hierrouter_jax
        print(json.dumps({"seconds": time.perf_counter() - start, "loaded": list(sys.modules)}))
    """
    found = run_python(code)
    assert found["seconds"] < 2
    assert not set(found["loaded"]) & (JAX | LIVE)


IMPORT_EACH = """if True:
    import importlib, json, sys
    culprits, banned = {}, set(sys.argv[1].split(","))
    for name in sys.argv[2:]:
        importlib.import_module(name)
        culprits.update({library: name for library in banned & set(sys.modules) - set(culprits)})
    print(json.dumps(culprits))
"""


@pytest.mark.parametrize("wing", ["ground", "learning", "live"])
def test_a_running_process_loads_nothing_of_the_wrong_side(wing):
    """As `test_no_wall_is_crossed`, for what the libraries themselves import."""
    modules = read_package(ROOT / PACKAGE)
    names = [f"{PACKAGE}.{name}".rstrip(".") for name, module in modules.items() if module.room == GROUND]
    names += [f"{PACKAGE}.{name}" for name, module in modules.items() if module.room.wing == wing != "ground"]
    assert run_python(IMPORT_EACH, ",".join(FORBIDDEN[wing]), *names) == {}


def test_slow_libraries_wait_until_something_needs_them():
    """Importing learners, opponents and statistics loads nothing that only sampling, fitting or a test uses."""
    code = """if True:
        import json, sys
        from hierrouter_jax.agents import learner
        from hierrouter_jax.baselines import registry
        from hierrouter_jax.evaluation import metrics, paired, policy_outcome
        slow = ("distrax", "tensorflow_probability", "sklearn", "scipy.stats", "pandas", "matplotlib")
        print(json.dumps({"loaded": [name for name in slow if name in sys.modules]}))
    """
    assert run_python(code)["loaded"] == []
