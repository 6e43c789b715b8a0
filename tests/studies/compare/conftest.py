"""A comparison of two arms on a tiny table, run once for every test of it."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.evaluation.policy_outcome import policy_outcome
from hierrouter_jax.outcomes.store import load_table, save_table
from hierrouter_jax.studies.compare.config import CompareConfig
from hierrouter_jax.studies.compare.run import compare
from hierrouter_jax.sweeps.members import program
from hierrouter_jax.sweeps.result import load_sweep
from hierrouter_jax.training.router import router_cost
from tests.studies.compare.tiny import ARMS, BASE, WEIGHTS
from tests.tables import random_table


@pytest.fixture(scope="package")
def config(tmp_path_factory) -> CompareConfig:
    folder = tmp_path_factory.mktemp("compare")
    save_table(random_table(queries=90), folder / "table")
    return CompareConfig(
        ARMS, folder / "table", folder / "out", base=BASE, cost_weights=WEIGHTS, seeds=2, layout="map", resamples=200
    )


@pytest.fixture(scope="package")
def result(config):
    compiled = program.cache_info().misses
    written = compare(config, progress=False)
    assert program.cache_info().misses <= compiled + 1  # all arms, cost weights and seeds are one program
    return written


@pytest.fixture(scope="package")
def slowly(config, result):
    """Per query, of every arm, cost weight and seed, from each member's own router: quality and cost [2, 2, 2, Q]."""
    table = load_table(config.table)
    part, sweep = table.split("test"), load_sweep(config.out / "sweeps" / "0")
    outcomes = []
    for member in range(8):
        router = sweep.router(member)
        outcome = policy_outcome(part, router.end_probability(part, 0))
        outcomes.append(replace(outcome, cost=outcome.cost + router_cost(router, outcome, part)))
    return [np.reshape([getattr(one, name) for one in outcomes], (2, 2, 2, -1)) for name in ("quality", "cost")]
