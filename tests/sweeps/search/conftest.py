"""A small search for the tests of this folder."""

import pytest

from hierrouter_jax.outcomes.store import save_table
from hierrouter_jax.sweeps.search.config import BaseSettings, SweepConfig
from tests.sweeps.sweep_run import EXACT, TABLE


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    save_table(TABLE, folder / "table")
    train = BaseSettings(("exact",), features=6, static=EXACT)
    space = {"learning_rate": "log(3e-4, 1e-2)"}
    return SweepConfig(folder / "table", folder / "plain", train, space, seeds=2, layout="map", chunk=1)
