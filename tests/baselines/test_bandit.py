"""A bandit learns from the rewards of the arms that it pulls."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.baselines.bandit import linucb
from hierrouter_jax.baselines.registry import OPPONENTS
from tests.baselines.known_tables import blank, problem_of, right_at


def test_a_bandit_finds_the_best_arm_from_the_rewards_of_those_that_it_pulled():
    """The other arms' outcomes on training may be anything: an arm is best by what was seen of it."""
    table = blank(queries=400, models=4, horizon=1)
    rng = np.random.default_rng(0)
    for model, share in enumerate((0.2, 0.5, 0.9, 0.4)):
        table = right_at(table, (model,), rng.random(400) < share)
    test = table.split("test")
    ends = OPPONENTS["bandit"].fit(problem_of(table))(test)
    assert ends[:, 3].mean() > 0.95


def test_without_exploring_a_bandit_fits_ridge_to_the_only_arm_by_hand():
    """One arm of quality 1 and features that say nothing: its constant, 10, times its weight is nearly 1."""
    table = right_at(blank(queries=64, models=1, horizon=1), (0,), np.ones(64, bool))
    problem = problem_of(replace(table, context_embedding=np.zeros_like(table.context_embedding)))
    weights = linucb(problem, explore=0.0, alpha=100.0)
    count = problem.train.num_queries
    assert weights[0, :-1] == pytest.approx(np.zeros(weights.shape[1] - 1))
    assert weights[0, -1] == pytest.approx(10 * count / (100 * count + 100))
