"""Exact evaluation against numbers by hand, the slow recursion, and Monte-Carlo rollouts."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierrouter_jax.envs import routing
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.envs.routing import decision_masks
from hierrouter_jax.envs.types import DeviceTable, device_table
from hierrouter_jax.evaluation.exact import end_nodes, end_probability, expected_return
from hierrouter_jax.evaluation.policy_outcome import policy_outcome
from hierrouter_jax.evaluation.tree_policy import greedy
from hierrouter_jax.outcomes.table import OutcomeTable
from tests.tables import random_table, tables

WEIGHTS = RewardWeights(terminal_quality=1.0, hop_cost=0.05, quality_gain=0.3, damage=0.2)


STEP = jax.jit(routing.step, static_argnames="allow_stop")
RETURN = jax.jit(expected_return)


def on_device(table: OutcomeTable) -> DeviceTable:
    return device_table(table, table.context_embedding, 2.0)


@partial(jax.jit, static_argnums=1)
def random_probs(device: DeviceTable, allow_stop: bool, seed: int) -> jax.Array:
    mask = decision_masks(device, allow_stop)
    logits = jax.random.normal(jax.random.key(seed), mask.shape)
    return jax.nn.softmax(jnp.where(mask, logits, -jnp.inf), axis=-1)


def slow_value(device: DeviceTable, probs: np.ndarray, query: int, node: int, allow_stop: bool, gamma: float) -> float:
    """V(n) by stepping the environment from every action, one at a time."""
    if node >= device.tree.num_decision_nodes:
        return 0.0
    state = routing.RoutingState(jnp.asarray(query), jnp.asarray(node), jnp.asarray(False))
    total = 0.0
    for action, probability in enumerate(probs[query, node]):
        if probability > 0:
            after, result = STEP(state, jnp.asarray(action), device, WEIGHTS, allow_stop=allow_stop)
            below = 0.0 if result.terminated else slow_value(device, probs, query, int(after.node), allow_stop, gamma)
            total += float(probability) * (float(result.reward) + gamma * below)
    return total


def test_expected_return_of_a_coin_flip_by_hand():
    """M = 2, L = 1, qualities 1 and 0 at no cost, probability .25 on the first: .25."""
    device = on_device(random_table(queries=1, models=2, horizon=1))
    device = device.replace(quality=jnp.array([[0.0, 1.0, 0.0]]), cost=jnp.zeros((1, 3)))
    probs = jnp.array([[[0.25, 0.75, 0.0]]])
    assert float(expected_return(probs, device, RewardWeights())[0]) == pytest.approx(0.25)


def test_stopping_by_hand():
    """First call: quality .5, cost 1 at lambda .1. STOP with .4 keeps .5; the second call (cost 1) makes it 1.

    -.1 + .4 * .5 + .6 * (1 - .1) = .64
    """
    device = on_device(random_table(queries=1, models=1, horizon=2))
    device = device.replace(quality=jnp.array([[0.0, 0.5, 1.0]]), cost=jnp.array([[0.0, 1.0, 1.0]]))
    probs = jnp.array([[[1.0, 0.0], [0.6, 0.4]]])
    assert float(expected_return(probs, device, RewardWeights(hop_cost=0.1))[0]) == pytest.approx(0.64)


@settings(max_examples=10)
@given(table=tables(queries=2, horizon=2), allow_stop=st.booleans(), gamma=st.sampled_from([1.0, 0.9]))
def test_expected_return_is_the_slow_recursion(table, allow_stop, gamma):
    device = on_device(table)
    probs = random_probs(device, allow_stop, seed=1)
    exact = RETURN(probs, device, WEIGHTS, gamma)
    for query in range(2):
        slow = slow_value(device, np.asarray(probs), query, 0, allow_stop, gamma)
        assert float(exact[query]) == pytest.approx(slow, abs=1e-5)


@settings(max_examples=8)
@given(seed=st.integers(0, 1000), allow_stop=st.booleans(), missing=st.sampled_from([0.0, 0.3]))
def test_exact_return_is_the_monte_carlo_mean(seed, allow_stop, missing):
    """40,000 sampled episodes of two queries: the exact return lies within five standard errors of their mean."""
    device = on_device(random_table(seed=seed, queries=2, missing=missing))
    probs = random_probs(device, allow_stop, seed)
    state = routing.start(jnp.repeat(jnp.arange(2), 20_000))
    total = jnp.zeros(state.query.shape)
    for key in jax.random.split(jax.random.key(seed), device.tree.horizon):
        node = jnp.minimum(state.node, device.tree.num_decision_nodes - 1)
        logits = jnp.log(probs[state.query, node])
        logits = jnp.where(routing.action_mask(state, device, allow_stop), logits, -jnp.inf)
        state, result = STEP(state, jax.random.categorical(key, logits), device, WEIGHTS, allow_stop=allow_stop)
        total += result.reward
    sampled = np.asarray(total).reshape(2, -1)
    error = sampled.std(axis=1) / np.sqrt(sampled.shape[1])
    exact = np.asarray(expected_return(probs, device, WEIGHTS))
    assert (np.abs(sampled.mean(axis=1) - exact) <= 5 * error + 1e-5).all()


@given(table=tables(), allow_stop=st.booleans())
def test_end_probabilities_are_a_distribution_over_legal_ends(table, allow_stop):
    device = on_device(table)
    ends = np.asarray(end_probability(random_probs(device, allow_stop, 3), device.tree))
    np.testing.assert_allclose(ends.sum(axis=1), 1, atol=1e-5)
    assert (ends[~table.available] == 0).all()
    leaf = np.asarray(routing.leaves(device))
    if not allow_stop:
        assert (ends[~leaf] == 0).all()


@given(table=tables(), allow_stop=st.booleans())
def test_return_is_quality_minus_weighted_cost(table, allow_stop):
    """With the paper's reward the closed-form return and the per-query outcome agree."""
    device = on_device(table)
    probs = random_probs(device, allow_stop, 4)
    outcome = policy_outcome(table, np.asarray(end_probability(probs, device.tree)))
    exact = RETURN(probs, device, RewardWeights(hop_cost=0.05))
    np.testing.assert_allclose(outcome.returns(0.05, 2.0), exact, atol=1e-4)


def test_greedy_breaks_ties_to_the_lowest_index_and_obeys_the_mask():
    logits = jnp.array([[[1.0, 1.0, 0.0], [9.0, 2.0, 5.0]]])
    mask = jnp.array([[[True, True, True], [False, True, False]]])
    assert greedy(logits, mask).tolist() == [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]


def test_end_nodes_follow_the_greedy_path():
    table = random_table(queries=4)
    device = on_device(table)
    mask = decision_masks(device, False)
    logits = jax.random.normal(jax.random.key(0), mask.shape)
    ends = end_nodes(greedy(logits, mask), device.tree)
    for query in range(4):
        node = 0
        while node < device.tree.num_decision_nodes:
            node = int(device.tree.child(node, int(jnp.argmax(logits[query, node, :-1]))))
        assert int(ends[query]) == node
