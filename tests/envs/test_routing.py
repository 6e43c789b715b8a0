"""The environment against the table it is made of: rewards, masks, ends, batches, compilations."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.envs import routing
from hierrouter_jax.envs.rewards import TERMS, RewardWeights
from hierrouter_jax.envs.types import DeviceTable, device_table
from hierrouter_jax.outcomes.table import OutcomeTable
from tests.tables import random_table, tables

WEIGHTS = RewardWeights(terminal_quality=1.0, hop_cost=0.05, quality_gain=0.3, damage=0.2)


def on_device(table: OutcomeTable, normaliser: float = 2.0) -> DeviceTable:
    return device_table(table, table.context_embedding, normaliser)


def reward_by_hand(table: OutcomeTable, query: int, node: int, ends: bool, normaliser: float = 2.0) -> float:
    """Reward of entering a node, straight from the host table."""
    before, after = table.quality[query, table.tree.parent(node)], table.quality[query, node]
    damaged = before >= 0.5 > after
    return float(ends * after - 0.05 * table.cost[query, node] / normaliser + 0.3 * (after - before) - 0.2 * damaged)


def children(table: OutcomeTable, query: int, node: int) -> list[int]:
    """Available children of a node; none at the horizon."""
    if node >= table.tree.num_decision_nodes:
        return []
    return [c for m in range(table.tree.num_models) if table.available[query, c := int(table.tree.child(node, m))]]


def test_returns_are_not_discounted_unless_told_otherwise():
    """Potential shaping adds gamma times the quality after a call less the one before."""
    table, weights = on_device(random_table(queries=4)), RewardWeights(potential=1.0)
    state, action = routing.start(jnp.arange(4)), jnp.zeros(4, int)

    def earned(*gamma: float) -> list[np.ndarray]:
        first = routing.step(state, action, table, weights, True, *gamma)[1].reward
        return [
            first,
            routing.entering_rewards(table, weights, *gamma),
            routing.stopping_rewards(table, weights, *gamma),
        ]

    for plain, one in zip(earned(), earned(1.0), strict=True):
        np.testing.assert_array_equal(plain, one)
    assert not np.allclose(earned()[0], earned(0.5)[0])


@given(table=tables(), allow_stop=st.booleans(), seed=st.integers(0, 99))
def test_a_random_episode_earns_what_the_table_says(table, allow_stop, seed):
    """Walk every query at random with the environment and, beside it, by hand on the host table."""
    rng, device, stop = np.random.default_rng(seed), on_device(table), table.tree.num_models
    state = routing.start(jnp.arange(table.num_queries))
    node, done = np.zeros(table.num_queries, int), np.zeros(table.num_queries, bool)
    for _ in range(table.tree.horizon + 1):
        mask = np.asarray(routing.action_mask(state, device, allow_stop))
        for query in range(table.num_queries):
            legal = [] if done[query] else [int(table.tree.last_model(c)) for c in children(table, query, node[query])]
            if done[query] or (allow_stop and node[query]):
                legal = [*legal, stop]
            assert np.flatnonzero(mask[query]).tolist() == legal
        action = np.array([rng.choice(np.flatnonzero(row)) for row in mask])
        state, result = routing.step(state, jnp.asarray(action), device, WEIGHTS, allow_stop)
        for query in range(table.num_queries):
            expected = 0.0
            if not done[query] and action[query] == stop:
                expected, done[query] = table.quality[query, node[query]], True
            elif not done[query]:
                node[query] = table.tree.child(node[query], action[query])
                done[query] = not children(table, query, node[query])
                expected = reward_by_hand(table, query, node[query], done[query])
            assert result.reward[query] == pytest.approx(expected, abs=1e-5)
        assert np.asarray(state.node).tolist() == node.tolist()
        assert np.asarray(result.terminated).tolist() == done.tolist()


def test_the_papers_reward_by_hand():
    """Three hops of normalised cost 1, 2 and 3 at lambda .1, final quality 1: -.1, -.2 and 1 - .3."""
    device = on_device(random_table(queries=1))
    path = device.tree.path(device.tree.node([0, 1, 2]))
    device = device.replace(
        cost=device.cost.at[0, jnp.array(path)].set(jnp.array([1.0, 2.0, 3.0])),
        quality=device.quality.at[0, path[-1]].set(1.0),
    )
    state, rewards = routing.start(jnp.zeros((), int)), []
    for action in (0, 1, 2):
        state, result = routing.step(state, jnp.asarray(action), device, RewardWeights(hop_cost=0.1), False)
        rewards.append(float(result.reward))
    assert rewards == pytest.approx([-0.1, -0.2, 0.7])
    assert bool(result.terminated)


def test_illegal_actions_end_the_episode_without_reward():
    device = on_device(random_table(queries=1, missing=0.0))
    device = device.replace(available=device.available.at[0, 1].set(False))
    for action in (0, device.tree.num_models):  # a missing hop; STOP before any answer
        state, result = routing.step(routing.start(jnp.zeros((), int)), jnp.asarray(action), device, WEIGHTS, True)
        assert float(result.reward) == 0.0
        assert bool(result.terminated)
        assert int(state.node) == 0


def test_a_step_takes_no_integer_for_another():
    """Under jit, of every shape: -1 is not STOP, and M + 1 reads nothing beside the mask."""
    table = on_device(random_table(queries=4))
    state = routing.start(np.zeros(8, np.int32))
    after, result = jax.jit(routing.step, static_argnames="allow_stop")(
        state, np.array([-5, -4, -1, 4, 5, 100, 2**31 - 1, -(2**31)], np.int32), table, WEIGHTS, allow_stop=True
    )
    assert np.asarray(result.terminated).all()
    assert (np.asarray(result.reward) == 0).all()
    assert (np.asarray(after.node) == 0).all()


def test_step_under_vmap_and_jit_equals_the_batched_step():
    device = on_device(random_table(queries=6))
    state, action = routing.start(jnp.arange(6)), jnp.array([0, 1, 2, 0, 1, 2])

    def one(state, action):
        return routing.step(state, action, device, WEIGHTS, True)

    batched = one(state, action)
    chex.assert_trees_all_close(jax.jit(jax.vmap(one))(state, action), batched, rtol=1e-6)
    chex.assert_trees_all_close(jax.jit(one)(state, action), batched, rtol=1e-6)


def test_ten_thousand_episodes_in_one_call_compile_once():
    @jax.jit
    @chex.assert_max_traces(n=1)
    def episodes(key, table):
        def advance(state, step_key):
            logits = jnp.where(routing.action_mask(state, table, True), 0.0, -jnp.inf)
            action = jax.random.categorical(step_key, logits)
            state, result = routing.step(state, action, table, WEIGHTS, True)
            return state, result.reward

        reset_key, key = jax.random.split(key)
        keys = jax.random.split(key, table.tree.horizon)
        return jax.lax.scan(advance, routing.reset(reset_key, table, 10_000), keys)

    for seed in range(3):  # other numbers and another table of the same shape: still one trace
        state, rewards = episodes(jax.random.key(seed), on_device(random_table(seed=seed, queries=50)))
    assert rewards.shape == (3, 10_000)
    assert bool(state.done.all())
    assert bool(jnp.isfinite(rewards).all())
    assert len(np.unique(state.query)) == 50


@given(table=tables())
def test_entering_rewards_are_what_step_gives(table):
    device = on_device(table)
    entering = np.asarray(routing.entering_rewards(device, WEIGHTS))
    for query, node in np.argwhere(table.available):
        if node:
            ends = not children(table, query, node)
            assert entering[query, node] == pytest.approx(reward_by_hand(table, query, node, ends), abs=1e-5)


def test_shapes_are_checked():
    device = on_device(random_table())
    with pytest.raises(AssertionError):
        routing.step(routing.start(jnp.arange(3)), jnp.zeros(2, int), device, WEIGHTS, True)


def test_masks_at_all_decision_nodes_by_hand():
    """M = 2, L = 2: node 3 below 1 was not run, nothing below 2 was; at the root STOP is illegal."""
    table = random_table(queries=1, models=2, horizon=2)
    available = np.array([[True, True, True, False, True, False, False]])
    device = on_device(table).replace(available=jnp.asarray(available))
    for allow_stop in (False, True):
        mask = routing.decision_masks(device, allow_stop)
        assert mask[0].tolist() == [[True, True, False], [False, True, allow_stop], [False, False, True]]
    assert routing.leaves(device)[0].tolist() == [False, False, True, True, True, True, True]


def test_stopping_earns_the_answer_and_costs_nothing():
    table = random_table(queries=3, models=2, horizon=2)
    device = on_device(table)
    earned = routing.stopping_rewards(device, RewardWeights(terminal_quality=2.0, hop_cost=5.0))
    np.testing.assert_allclose(earned[:, 1:], 2 * table.quality[:, 1:])


@pytest.mark.parametrize("term", TERMS)
def test_stopping_earns_in_a_step_what_is_said_of_it(term):
    """By the answer that it ends with alone: STOP itself writes nothing, takes no time and costs nothing."""
    weights = RewardWeights(**{"terminal_quality": 0.0, term: 1.0})
    table = random_table(queries=3, models=2, horizon=3)
    device = on_device(table)
    device = device.replace(
        cheapest_right=jnp.array([1.0, 2.0, 3.0]),
        tokens=jnp.asarray(table.tokens_out, jnp.float32),
        seconds=jnp.full(device.cost.shape, 7.0),
    )
    said = routing.stopping_rewards(device, weights, 0.9)
    for query, node in [(0, 1), (1, 2), (2, 5)]:
        state = routing.start(jnp.array(query)).replace(node=jnp.array(node))
        _, result = routing.step(state, jnp.array(device.tree.num_models), device, weights, True, 0.9)
        assert float(result.reward) == pytest.approx(float(said[query, node]))


def test_tokens_and_seconds_that_a_table_does_not_hold_count_as_none():
    device = on_device(random_table(queries=1))
    device = device.replace(tokens=jnp.full(device.cost.shape, 50.0), seconds=jnp.full(device.cost.shape, 2.0))
    weights = RewardWeights(terminal_quality=0.0, hop_cost=0.0, length=1.0, latency=1.0)
    for held, expected in (
        (device, -0.5 - 2.0),
        (device.replace(tokens=None), -2.0),
        (device.replace(seconds=None), -0.5),
    ):
        _, result = routing.step(routing.start(jnp.zeros((), int)), jnp.asarray(0), held, weights, False)
        assert float(result.reward) == pytest.approx(expected)
        assert float(routing.entering_rewards(held, weights)[0, 1]) == pytest.approx(expected)


def test_episodes_start_at_the_root_of_drawn_queries():
    device = on_device(random_table(queries=5, models=2, horizon=2))
    query = routing.draw_queries(jax.random.key(0), device, 500)
    assert set(np.asarray(query).tolist()) == set(range(5))
    state = routing.start(query)
    assert not state.node.any()
    assert not state.done.any()
    assert routing.stage(state.replace(node=query), device).tolist() == device.tree.stages[np.asarray(query)].tolist()
