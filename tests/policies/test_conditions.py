"""What conditioned policies are told: inputs by hand, and the law of the draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.learner_config import BUDGET, COST_WEIGHT, ConditionRanges, Range
from hierrouter_jax.policies.conditions import Conditions, draw, grid, inputs

RANGES = ConditionRanges(cost_weight=Range(0.01, 1.0), budget=Range(0.5, 8.0))
NAMES = (COST_WEIGHT, BUDGET)


@pytest.mark.parametrize(
    ("weight", "seen"), [(0.01, -1.0), (0.1, 0.0), (10**-0.5, 0.5), (1.0, 1.0), (0.001, -1.0), (0.0, -1.0), (7.0, 1.0)]
)
def test_the_cost_weight_is_seen_on_its_logarithm_between_the_bounds(weight, seen):
    column = inputs(Conditions(cost_weight=jnp.array([weight])), jnp.array([3.0]), RANGES)
    np.testing.assert_allclose(column, [[seen]], atol=1e-6)


@pytest.mark.parametrize(
    ("budget", "spent", "seen"),
    [(4.0, 1.0, 3 / 8), (8.0, 0.0, 1.0), (20.0, 3.0, 1.0), (np.inf, 5.0, 1.0), (1.0, 1.0, 0.0), (1.0, 2.0, 0.0)],
)
def test_what_is_left_of_the_budget_is_seen_up_to_the_upper_bound(budget, spent, seen):
    column = inputs(Conditions(budget=jnp.array([budget])), jnp.array([spent]), RANGES)
    np.testing.assert_allclose(column, [[seen]], atol=1e-6)


def test_the_cost_weight_comes_first_and_nothing_is_no_column():
    told = Conditions(cost_weight=jnp.asarray(0.1), budget=jnp.asarray(6.0))
    seen = inputs(told, jnp.array([0.0, 2.0, 6.0]), RANGES)  # one episode, three nodes
    np.testing.assert_allclose(seen, [[0, 6 / 8], [0, 4 / 8], [0, 0]], atol=1e-6)
    spent = jnp.array([[0.0, 2.0, 6.0], [4.0, 4.0, 4.0]])  # two episodes
    np.testing.assert_allclose(inputs(told, spent, RANGES)[1], [[0, 2 / 8]] * 3, atol=1e-6)
    assert inputs(Conditions(), jnp.zeros((5, 2)), RANGES).shape == (5, 2, 0)
    assert told.names == NAMES
    assert Conditions().names == ()


@pytest.mark.parametrize("name", NAMES)
def test_draws_are_uniform_in_the_logarithm_between_the_bounds(name):
    """Of 40,000: mean and variance of the position within five standard errors of 1/2 and 1/12."""
    bounds = getattr(RANGES, name)
    values = np.asarray(getattr(draw(jax.random.key(3), NAMES, RANGES, (40_000,)), name))
    assert bounds.low * (1 - 1e-6) <= values.min() < values.max() <= bounds.high * (1 + 1e-6)
    position = np.log(values / bounds.low) / np.log(bounds.high / bounds.low)
    assert abs(position.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / 40_000)
    assert abs(position.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / 40_000)


def test_only_what_is_named_is_drawn_and_the_two_are_independent():
    both = draw(jax.random.key(0), NAMES, RANGES, (10_000,))
    alone = draw(jax.random.key(0), (BUDGET,), RANGES, (10_000,))
    assert alone.cost_weight is None
    np.testing.assert_array_equal(alone.budget, both.budget)
    assert abs(np.corrcoef(np.log(both.cost_weight), np.log(both.budget))[0, 1]) < 0.05
    assert draw(jax.random.key(0), (), RANGES, (3,)) == Conditions()


@pytest.mark.parametrize("points", [2, 4, 8])
def test_a_grid_goes_from_bound_to_bound_in_equal_ratios(points):
    values = grid(NAMES, RANGES, points)
    for name in NAMES:
        bounds = getattr(RANGES, name)
        column = np.unique(np.asarray(getattr(values, name)))
        assert (column[0], column[-1]) == pytest.approx((bounds.low, bounds.high))
        ratios = column[1:] / column[:-1]
        np.testing.assert_allclose(ratios, (bounds.high / bounds.low) ** (1 / (points - 1)), rtol=1e-5)
    pairs = set(zip(np.asarray(values.cost_weight).tolist(), np.asarray(values.budget).tolist(), strict=True))
    assert len(pairs) == points**2 == len(values.budget)
