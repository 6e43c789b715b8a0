"""Values, action values and backward induction over a tree against slow walks and the oracle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierrouter_jax.baselines.oracle import oracle_return
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.envs.routing import decision_masks
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.exact import (
    action_values,
    node_values,
    optimal_action_values,
    reach_probability,
)
from hierrouter_jax.outcomes.pricing import accumulate_cost
from tests.agents.trees import on_device
from tests.tables import tables

SHAPINGS = st.builds(
    RewardWeights,
    terminal_quality=st.sampled_from([0.0, 1.0]),
    hop_cost=st.sampled_from([0.0, 0.3]),
    quality_gain=st.sampled_from([0.0, 0.5]),
    damage=st.sampled_from([0.0, 0.7]),
)


def random_policy(table: DeviceTable, mask, seed: int):
    logits = jax.random.normal(jax.random.key(seed), mask.shape)
    return jax.nn.softmax(jnp.where(mask, logits, -jnp.inf), axis=-1)


def slow_value(table, probs, mask, weights, gamma, query, node, best=False):
    """V by recursion over one query's tree, rewards written out."""
    tree, host = table.tree, table
    children = [tree.child(node, m) for m in range(tree.num_models)]
    if node >= tree.num_decision_nodes or not any(host.available[query, c] for c in children):
        return 0.0, {}
    actions = {}
    for model, child in enumerate(children):
        if not host.available[query, child]:
            continue
        below, _ = slow_value(table, probs, mask, weights, gamma, query, child, best)
        before, after = host.quality[query, node], host.quality[query, child]
        ends = child >= tree.num_decision_nodes or not any(
            host.available[query, tree.child(child, m)] for m in range(tree.num_models)
        )
        actions[model] = (
            weights.terminal_quality * after * ends
            - weights.hop_cost * host.cost[query, child]
            + weights.quality_gain * (after - before)
            - weights.damage * (before >= 0.5 > after)
            + gamma * below
        )
    if mask[query, node, -1]:
        actions[tree.num_models] = weights.terminal_quality * host.quality[query, node]
    if best:
        return max(actions.values()), actions
    return sum(float(probs[query, node, a]) * value for a, value in actions.items()), actions


@settings(max_examples=8, deadline=None)
@given(tables(), SHAPINGS, st.booleans(), st.sampled_from([1.0, 0.8]), st.integers(0, 99))
def test_values_are_those_of_the_slow_walk(table, weights, allow_stop, gamma, seed):
    device = on_device(table)
    mask = decision_masks(device, allow_stop)
    probs = random_policy(device, mask, seed)
    host = jax.device_get((device, probs, mask))
    values = node_values(probs, device, weights, gamma)
    per_action = action_values(probs, device, weights, gamma)
    best = optimal_action_values(device, weights, mask, gamma)
    for query in range(device.num_queries):
        for node in range(device.tree.num_decision_nodes):
            if not table.available[query, node]:
                continue
            value, actions = slow_value(*host, weights, gamma, query, node)
            assert float(values[query, node]) == pytest.approx(value, abs=1e-4)
            _, best_actions = slow_value(*host, weights, gamma, query, node, best=True)
            for action in actions:
                assert float(per_action[query, node, action]) == pytest.approx(actions[action], abs=1e-4)
                assert float(best[query, node, action]) == pytest.approx(best_actions[action], abs=1e-4)


@settings(max_examples=10, deadline=None)
@given(tables(), st.booleans(), st.sampled_from([0.0, 0.05]))
def test_backward_induction_finds_the_oracles_return(table, allow_stop, cost_weight):
    """With STOP and without, on whole trees and on those with hops missing; gamma = 1."""
    device = on_device(table, cost_normaliser=1.0)
    weights = RewardWeights(hop_cost=cost_weight)
    best = optimal_action_values(device, weights, decision_masks(device, allow_stop))[:, 0].max(axis=-1)
    nodes = oracle_return(table, cost_weight, allow_stop)
    spent = accumulate_cost(table.cost, table.tree)
    values = (table.quality - cost_weight * spent)[np.arange(table.num_queries), nodes]
    np.testing.assert_allclose(best, values, atol=1e-4)


@settings(max_examples=10, deadline=None)
@given(tables(), st.booleans(), st.integers(0, 99))
def test_every_stage_is_reached_with_what_is_left_of_the_episodes(table, allow_stop, seed):
    device = on_device(table)
    mask = decision_masks(device, allow_stop)
    probs = random_policy(device, mask, seed)
    reach = reach_probability(probs, device.tree)
    going = jnp.ones(device.num_queries)
    for stage in range(device.tree.horizon):
        here = device.tree.stage_slice(stage)
        np.testing.assert_allclose(reach[:, here].sum(axis=1), going, atol=1e-5)
        going = going - jnp.sum(reach[:, here] * probs[:, here, -1], axis=1)
