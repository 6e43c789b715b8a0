"""The wheel holds everything that running needs, and says truly what it depends on."""

import ast
import re
import subprocess
import sys
from email.message import Message
from email.parser import Parser
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from zipfile import ZipFile

import pytest

import hierrouter_jax as hr
from hierrouter_jax._version import __version__
from hierrouter_jax.cli.main import VERBS
from hierrouter_jax.config import config_path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "hierrouter_jax"
MAX_BYTES = 1_100_000
SPECIALISTS = ("reader", "calculator", "speller")
SPECIALIST_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "card.json")
LIVE_WING = ("bridge", "serve", "tiny", "cli")
SPEAKING_TO = {
    "gym_vector.py": "gym",
    "gymnax_env.py": "gymnax",
    "adaptive.py": "search",
    "load.py": "ray",
    "bundle_onnx.py": "onnx",
}
EXTRAS = ("live", "serve", "gym", "gymnax", "ray", "search", "track", "onnx", "stablehlo", "docs", "bench", "dev")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel as `python -m build` makes it."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    (path,) = out.glob("*.whl")
    with ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


def requirements(metadata: Message, extra: str | None = None) -> set[str]:
    """Names of what the wheel requires: always, or for an extra."""
    pairs = (text.partition(";") for text in metadata.get_all("Requires-Dist", []))
    marked = [(normalised(text), re.search(r"extra == ['\"](\w+)['\"]", marker)) for text, _, marker in pairs]
    return {name for name, found in marked if (found and found[1]) == extra}


def normalised(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement.strip())[0].lower().replace("_", "-")


def test_the_wheel_holds_every_file_of_the_package(wheel):
    held = {name for name in wheel.namelist() if name.startswith("hierrouter_jax/")}
    files = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    assert {name for name in files if "__pycache__" not in name} <= held


def test_the_wheel_holds_every_preset(wheel):
    presets = [path.relative_to(ROOT) for path in (ROOT / "configs").rglob("*.yaml")]
    assert Path("configs/pool/tiny.yaml") in presets
    for path in presets:
        assert wheel.read(f"hierrouter_jax/{path.as_posix()}") == (ROOT / path).read_bytes()


@pytest.mark.parametrize("name", SPECIALISTS)
def test_the_wheel_holds_the_specialist(wheel, name):
    held = wheel.namelist()
    assert [file for file in SPECIALIST_FILES if f"hierrouter_jax/specialists/{name}/{file}" not in held] == []


def test_no_file_of_the_wheel_is_large(wheel):
    assert [entry.filename for entry in wheel.infolist() if entry.file_size > MAX_BYTES] == []


def test_the_wheel_installs_one_command(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert wheel.read(name).decode().split("\n")[:2] == [
        "[console_scripts]",
        "hierrouter = hierrouter_jax.cli.main:main",
    ]


def test_the_metadata_names_the_extras(metadata):
    assert set(metadata.get_all("Provides-Extra", [])) == set(EXTRAS)
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"


def test_the_base_trains_without_torch(metadata):
    base = requirements(metadata)
    assert {"jax", "flax", "optax", "tfp-nightly"} <= base
    assert not base & requirements(metadata, "live")
    assert not base & requirements(metadata, "serve")
    assert {"torch", "transformers"} <= requirements(metadata, "live")


def test_tensorflow_probability_is_never_installed(metadata):
    """It shares a folder with tfp-nightly and breaks it."""
    everything = set().union(*(requirements(metadata, extra) for extra in (None, *EXTRAS)))
    assert "tensorflow-probability" not in everything | set(pins())


def test_every_library_in_use_is_required(metadata):
    """The base for all rooms; the extras only for the live wing, the command line and quickstart on top of it, and for
    the modules that speak to Gymnasium, gymnax, Optuna, Ray and ONNX.
    """
    base = requirements(metadata)
    live = base | requirements(metadata, "live") | requirements(metadata, "serve")
    more = {name: requirements(metadata, extra) for name, extra in SPEAKING_TO.items()}
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0]
        held = live if room in LIVE_WING or path.name == "quickstart.py" else base
        missing = libraries(path) - held - more.get(path.name, set())
        assert not missing, f"{path.relative_to(ROOT)} imports {', '.join(sorted(missing))}"


distributions = cache(packages_distributions)


def libraries(path: Path) -> set[str]:
    """Distributions that a module imports, its own project and the standard library left out."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    foreign = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {PACKAGE.name}
    return {normalised(_home(name)) for name in foreign}


def _home(name: str) -> str:
    """The distribution that a library is of; of a namespace that several share, the first by name."""
    return min(distributions().get(name, [name]))


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_every_requirement_is_pinned_exactly(metadata):
    held = pins()
    for extra in {None, *EXTRAS} - {"gymnax"}:  # gymnax refuses the gymnasium of the pins
        assert requirements(metadata, extra) <= set(held)
    assert list(held) == sorted(held)
    assert not [version for version in held.values() if not re.fullmatch(r"[\w.]+", version)]


def test_the_constraints_are_what_is_installed_here():
    """The tests speak for the pinned set only where they run on it."""
    held = pins()
    for name in ("jax", "flax", "optax", "distrax", "tfp-nightly", "torch", "transformers", "numpy", "pyarrow"):
        assert version(name).partition("+")[0] == held[name], name


def test_the_version_is_the_same_everywhere(metadata):
    assert metadata["Version"] == __version__
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_a_preset_is_found_where_this_package_runs():
    assert config_path("pool/tiny.yaml").is_file()


def test_every_public_name_is_there():
    assert len(hr.__all__) == len(set(hr.__all__))
    for name in hr.__all__:
        assert getattr(hr, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        hr.nothing  # noqa: B018


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_verb_has_a_function_of_its_name(verb):
    names = {"import": "import_outcomes", "train": "train_routers"}  # a keyword of Python; the pure function of one run
    without = {"calls", "convert", "inspect", "pack"}  # they only show or write what others hold
    name = names.get(verb, verb)
    assert (verb not in without) == (name in hr.__all__)
    assert verb in without or callable(getattr(hr, name))
