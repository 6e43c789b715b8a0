"""A policy on a whole tree against numbers by hand, on a table of one query, two models and two hops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.envs.types import DeviceTable, device_table
from hierrouter_jax.evaluation import tree_policy
from hierrouter_jax.evaluation.tree_policy import TreePolicy, mean_scores, run_network, run_policy
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.policies.conditions import ConditionRanges, Conditions
from hierrouter_jax.policies.network import RouterNetwork, build_network, gather_inputs, network_outputs
from tests.tables import random_table

# Preferences for model 0, model 1 and STOP at the root and after a first hop by model 0 and by model 1.
LOGITS = jnp.array([[[0.0, 1.0, 5.0], [3.0, 2.0, 1.0], [1.0, 1.0, 2.0]]])
MASK = jnp.array([[[True, True, False], [True, True, True], [True, True, True]]])


@pytest.fixture
def policy() -> TreePolicy:
    return TreePolicy(LOGITS, MASK, HopTree(2, 2))


def device(queries: int) -> DeviceTable:
    host = random_table(queries=queries, models=2, horizon=2)
    return device_table(host, host.context_embedding, 5.0)


def test_the_greedy_policy_never_takes_an_illegal_action(policy):
    """STOP is preferred at the root, where it is illegal, so model 1 is called; then STOP."""
    np.testing.assert_array_equal(policy.greedy(), [[[0, 1, 0], [1, 0, 0], [0, 0, 1]]])
    np.testing.assert_array_equal(policy.greedy_ends(), [[0, 0, 1, 0, 0, 0, 0]])


def test_a_tie_goes_to_whoever_comes_first_in_the_order_of_ties():
    """STOP, then model 1, then model 0; a better one wins wherever it stands in the order."""
    tied = TreePolicy(LOGITS.at[0, 2].set(1.0), MASK, HopTree(2, 2), tie_order=(2, 1, 0))
    np.testing.assert_array_equal(tied.greedy(), [[[0, 1, 0], [1, 0, 0], [0, 0, 1]]])


def test_a_tie_goes_to_the_lowest_index():
    tied = TreePolicy(LOGITS.at[0, 2].set(1.0), MASK, HopTree(2, 2))
    np.testing.assert_array_equal(tied.greedy()[0, 2], [1, 0, 0])
    np.testing.assert_array_equal(tied.greedy_ends(), [[0, 0, 0, 0, 0, 1, 0]])


def test_probabilities_are_a_softmax_over_legal_actions(policy):
    """At the root 1 / (1 + e) and e / (1 + e); after model 1, 1 and 1 and e over 2 + e."""
    probs = np.exp(policy.log_probs())
    np.testing.assert_allclose(probs[0, 0], [1 / (1 + np.e), np.e / (1 + np.e), 0], rtol=1e-6)
    np.testing.assert_allclose(probs[0, 2], np.array([1, 1, np.e]) / (2 + np.e), rtol=1e-6)


def test_scores_are_means_over_queries_of_what_the_ends_give():
    """Two queries end for certain at nodes 1 and 3: qualities .5 and 1, costs .2 and .2 + .4."""
    table = device(2).replace(
        quality=jnp.array([[0, 0.5, 0, 0, 0, 0, 0], [0, 0, 0, 1.0, 0, 0, 0]]),
        spent=jnp.array([[0, 0.2, 0, 0, 0, 0, 0], [0, 0.2, 0, 0.6, 0, 0, 0]]),
    )
    accuracy, cost = mean_scores(jax.nn.one_hot(jnp.array([1, 3]), 7), table)
    assert float(accuracy) == pytest.approx(0.75)
    assert float(cost) == pytest.approx(0.4)


@pytest.mark.parametrize("allow_stop", [False, True])
def test_a_run_gives_the_networks_own_logits_and_the_legal_actions(allow_stop):
    static = LearnerStatic(hidden=(16, 16), stage_size=5, allow_stop=allow_stop)
    table = device(3)
    network = build_network(table, static)
    query, node = (axis.ravel() for axis in jnp.meshgrid(jnp.arange(3), jnp.arange(3), indexing="ij"))
    params = network.init(jax.random.key(0), gather_inputs(table, query, node))
    policy = run_policy(static, params, table)
    logits, _ = network_outputs(network, params, gather_inputs(table, query, node))
    np.testing.assert_allclose(policy.logits.reshape(9, 3), logits, atol=1e-6)
    np.testing.assert_array_equal(policy.mask[..., :2], True)
    np.testing.assert_array_equal(policy.mask[..., 2], [[False, allow_stop, allow_stop]] * 3)


def test_a_budget_masks_what_it_does_not_pay_for_and_makes_stop_legal():
    """Calls cost at most 1 and 2; a budget of 2.5 pays for one of each, and after model 1 for no other."""
    table = device(1).replace(
        charge=jnp.array([[0, 1, 2, 1, 2, 1, 2.0]]), spent=jnp.array([[0, 0.5, 2, 1.5, 2.5, 3, 4.0]])
    )
    network = RouterNetwork(3, 2, (16, 16), 5)
    conditions = Conditions(budget=jnp.array([2.5]))
    inputs = gather_inputs(table, jnp.zeros(1, int), jnp.zeros(1, int), conditions)
    params = network.init(jax.random.key(0), inputs)
    mask = run_network(network, params, table, conditions, False, ConditionRanges()).mask
    np.testing.assert_array_equal(mask[0], [[True, True, False], [True, True, True], [False, False, True]])


@pytest.mark.parametrize("at_once", [1, 6, 9, 21])
def test_a_table_beyond_one_part_gives_the_same_logits(monkeypatch, at_once):
    """Seven queries of three decision nodes, one to seven queries at once; the last part may overlap the one before."""
    table = device(7)
    network = RouterNetwork(3, 2, (16, 16), 5)
    params = network.init(jax.random.key(0), gather_inputs(table, jnp.zeros(1, int), jnp.zeros(1, int)))
    whole = tree_policy.decision_logits(network, params, table)
    monkeypatch.setattr(tree_policy, "_ROWS_AT_ONCE", at_once)
    np.testing.assert_allclose(tree_policy.decision_logits(network, params, table), whole, atol=1e-6)
    query, node = np.array([0, 3, 6]), np.array([0, 1, 2])
    some, _ = network_outputs(network, params, gather_inputs(table, jnp.asarray(query), jnp.asarray(node)))
    np.testing.assert_allclose(some, whole[query, node], atol=1e-6)
