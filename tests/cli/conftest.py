"""A small training that tests of verbs read."""

import pytest

from hierrouter_jax.cli.main import main
from hierrouter_jax.outcomes.store import save_table
from tests.cli.small_run import SMALL
from tests.tables import random_table


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    save_table(random_table(queries=90), folder / "table")
    assert main(["train", str(folder / "table"), "--out", str(folder / "run"), *SMALL]) == 0
    return folder
