"""Orders of rows, dropout, and the conditions, rewards and trees that an update learns from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierrouter_jax.agents.batching import (
    draw_conditions,
    draw_trees,
    even_steps,
    in_units,
    reward_unit,
    reward_weights,
    shuffle,
    tree_rewards,
)
from hierrouter_jax.agents.ppo import dropout
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.envs.types import device_table
from hierrouter_jax.policies.conditions import ConditionRanges, Conditions, Range
from tests.tables import random_table


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 999))
def test_an_order_holds_every_row_once(size, seed):
    assert sorted(np.asarray(shuffle(jax.random.key(seed), size)).tolist()) == list(range(size))


def test_an_order_is_the_slow_arithmetic_where_products_pass_31_bits():
    size = 786_432
    order = np.asarray(shuffle(jax.random.key(5), size)).astype(np.int64)
    step, start = (order[1] - order[0]) % size, order[0]
    assert (order == (step * np.arange(size, dtype=np.int64) + start) % size).all()
    assert step in even_steps(size)


@pytest.mark.parametrize("size", [*range(1, 300), 924, 13_734, 83_496, 564_234, 1_037_430])
def test_every_size_has_a_step_that_spreads_evenly(size):
    """Also those below 2^20 that have the fewest such steps."""
    steps = even_steps(size)
    assert 1 <= len(steps) <= 64
    assert (np.gcd(steps, size) == 1).all()


def test_beyond_a_million_rows_an_order_is_still_one():
    """Products of these numbers pass 31 bits; not every step shows it, that of the first key does."""
    order = np.asarray(shuffle(jax.random.key(0), (1 << 21) - 8))
    assert (np.bincount(order, minlength=len(order)) == 1).all()


@pytest.mark.parametrize("size", [1536, 12_288, 196_608])
def test_every_minibatch_takes_the_same_from_every_stage(size):
    """Rows lie stage by stage; each of four minibatches holds a third of itself from each of three, to 3 %."""
    for seed in range(8):
        parts = np.asarray(shuffle(jax.random.key(seed), size)).reshape(4, -1) // (size // 3)
        counts = np.stack([np.bincount(part, minlength=3) for part in parts]) / (size / 12)
        assert np.abs(counts - 1).max() < 0.03


def test_orders_differ_between_keys():
    orders = {tuple(np.asarray(shuffle(jax.random.key(seed), 1536))[:2].tolist()) for seed in range(50)}
    assert len(orders) > 45


@pytest.mark.parametrize(
    ("weight", "unit"), [(5.0, 1.0), (10.0, 1.0), (20.0, 4.0), (-50.0, 25.0), (100.0, 100.0), (1e6, 1e6)]
)
def test_the_unit_of_returns_by_hand(weight, unit):
    """1 up to a weight of 10, then its square over 100, and from 100 on the weight; a limit on costs is no weight."""
    weights = RewardWeights(terminal_quality=1.0, hop_cost=weight, overrun_limit=1e9)
    assert float(reward_unit(weights)) == pytest.approx(unit)
    counted = in_units(weights, reward_unit(weights))
    assert float(counted.hop_cost) == pytest.approx(weight / unit)
    assert float(counted.terminal_quality) == pytest.approx(1 / unit)
    assert counted.overrun_limit == 1e9


def test_dropout_zeroes_the_share_and_keeps_the_mean():
    dropped = dropout(jax.random.key(0), jnp.ones((1000, 50)), 0.2)
    assert float(jnp.mean(dropped == 0)) == pytest.approx(0.2, abs=0.01)
    assert float(jnp.mean(dropped)) == pytest.approx(1.0, abs=0.02)
    kept = jnp.arange(6.0).reshape(2, 3)
    assert (dropout(jax.random.key(0), kept, 0.0) == kept).all()


def budgeted_table():
    host = random_table(queries=4, models=2, horizon=1)
    table = device_table(host, host.context_embedding, 1.0)
    return table.replace(charge=jnp.tile(jnp.array([0.0, 1.5, 30.0]), (4, 1)), available=jnp.ones((4, 3), bool))


def test_a_budget_that_pays_for_nothing_is_raised_to_the_cheapest_call():
    """Drawn between .5 and .6, but the cheapest call may cost 1.5."""
    static = LearnerStatic(budgeted=True, cost_conditioned=True)
    hyper = LearnerHyper(ranges=ConditionRanges(cost_weight=Range(0.1, 0.2), budget=Range(0.5, 0.6)))
    conditions = draw_conditions(jax.random.key(0), jnp.arange(4), budgeted_table(), static, hyper)
    assert conditions.budget.tolist() == [1.5] * 4
    assert ((conditions.cost_weight >= 0.1) & (conditions.cost_weight <= 0.2)).all()
    assert draw_conditions(jax.random.key(0), jnp.arange(4), budgeted_table(), LearnerStatic(), hyper).budget is None


def test_an_episodes_own_cost_weight_takes_the_place_of_the_runs():
    hyper = LearnerHyper(reward=RewardWeights(hop_cost=0.25, damage=2.0))
    conditions = Conditions(cost_weight=jnp.array([0.5, 0.75]))
    assert reward_weights(hyper, Conditions()).hop_cost == tree_rewards(hyper, Conditions()).hop_cost == 0.25
    assert reward_weights(hyper, conditions).hop_cost.tolist() == [0.5, 0.75]
    assert tree_rewards(hyper, conditions).hop_cost.tolist() == [[0.5], [0.75]]
    assert tree_rewards(hyper, conditions).damage == reward_weights(hyper, conditions).damage == 2.0


def test_drawn_trees_are_whole_trees_of_the_table():
    table = budgeted_table()
    static = LearnerStatic(cost_conditioned=True)
    trees, conditions = draw_trees(jax.random.key(1), table, 64, static, LearnerHyper(dropout=0.5))
    assert trees.quality.shape == (64, 3)
    rows = {tuple(row) for row in np.asarray(table.quality).tolist()}
    assert {tuple(row) for row in np.asarray(trees.quality).tolist()} == rows
    assert float(jnp.mean(trees.features == 0)) == pytest.approx(0.5, abs=0.1)
    assert conditions.cost_weight.shape == (64,)
