"""What a command loads before it works: nothing heavy for help, and only what it needs for work."""

import resource
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from hierrouter_jax.cli.main import VERBS
from hierrouter_jax.outcomes.store import save_table
from tests.tables import random_table

ROOT = Path(__file__).parents[2]
HEAVY = {"jax", "flax", "optax", "orbax", "distrax", "tensorflow_probability", "torch", "transformers", "datasets"} | {
    "sklearn", "scipy", "pandas", "matplotlib", "pyarrow", "datasketch", "gymnasium"
}  # fmt: skip
SHOW = """
import sys
{code}
print(*sorted({{name.split(".")[0] for name in sys.modules}}))
"""


@cache
def loaded(code: str) -> frozenset[str]:
    """Top-level names of everything that is loaded once some code has run in a fresh process."""
    run = [sys.executable, "-c", SHOW.format(code=code)]
    done = subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT)
    return frozenset(done.stdout.splitlines()[-1].split())


def verb(*arguments: str) -> str:
    return f"from hierrouter_jax.cli.main import main\nassert main({list(arguments)!r}) == 0"


def test_importing_the_package_loads_no_library():
    assert not loaded("import hierrouter_jax") & (HEAVY | {"numpy", "yaml", "rich", "jsonargparse"})


@pytest.mark.parametrize("name", VERBS)
def test_help_loads_neither_wing(name):
    heavy = HEAVY - ({"pyarrow"} if name == "route" else set())  # which reads queries of any file
    assert not loaded(verb(name, "--help")) & heavy


@pytest.mark.parametrize("name", ["TrainConfig", "SweepConfig", "CompareConfig", "LeaderboardConfig", "LearnerHyper"])
def test_a_configuration_needs_no_jax(name):
    assert not loaded(f"import hierrouter_jax as hr\nhr.{name}") & {"jax", "torch"}


def test_help_takes_less_than_a_second_of_the_processor():
    """A generous bound: on one quiet core it is .2 s."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", verb("collect", "--help")], capture_output=True, check=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


def test_training_loads_no_library_of_the_opponents_or_the_live_wing(tmp_path):
    """Principal components and intervals are all that training would need of scikit-learn and scipy.stats."""
    save_table(random_table(queries=60), tmp_path / "table")
    small = ("--train.learners", "[exact]", "--train.num_seeds", "1", "--train.features", "4")
    shapes = ("--train.static.num_envs", "16", "--train.static.num_updates", "5", "--train.checkpoint_every", "5")
    names = loaded(verb("train", str(tmp_path / "table"), "--out", str(tmp_path / "run"), *small, *shapes))
    assert {"jax", "orbax"} <= names
    assert not names & {"sklearn", "torch", "transformers", "matplotlib", "datasketch", "datasets"}
