"""Logs made from a table: routes are the table's, actions are the policy's, and means are the exact values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log import propensity_check
from hierrouter_jax.studies.simulate import draw_routes, legal_actions, simulate
from tests.tables import random_table, tables


def even(table, allow_stop=True):
    """The policy that takes every action that it can with the same probability, [Q, D, A]."""
    legal = legal_actions(table, allow_stop)
    return legal / np.maximum(legal.sum(axis=-1, keepdims=True), 1)


def lopsided(table, seed=0):
    """A policy that takes every action that it can with some probability, [Q, D, A]."""
    weights = legal_actions(table, True) * np.random.default_rng(seed).uniform(0.1, 1.0, even(table).shape)
    return weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-9)


def value(table, probs, query, node=0):
    """Expected quality and cost to go of a policy from a node, by recursion."""
    if node >= table.tree.num_decision_nodes or not probs[query, node].any():
        return np.array([table.quality[query, node], 0.0])
    total = probs[query, node, -1] * np.array([table.quality[query, node], 0.0])
    for action in np.flatnonzero(probs[query, node, :-1]):
        child = table.tree.child(node, action)
        total = total + probs[query, node, action] * (
            np.array([0.0, table.cost[query, child]]) + value(table, probs, query, child)
        )
    return total


@given(tables(), st.integers(0, 1000), st.booleans())
def test_every_episode_is_a_walk_through_the_table(table, seed, allow_stop):
    probs, tree = even(table, allow_stop), table.tree
    queries = np.arange(3)
    routes = draw_routes(table, probs, queries, 6, np.random.default_rng(seed), allow_stop)
    episodes = simulate(table, probs, queries, 6, np.random.default_rng(seed), allow_stop)
    for row in range(6):
        node, spent, query = 0, 0.0, routes.query[row]
        for stage in range(episodes.taken[row].sum()):
            action = episodes.action[row, stage]
            np.testing.assert_array_equal(episodes.embedding[row, stage], table.context_embedding[query, node])
            np.testing.assert_allclose(episodes.probs[row, stage], probs[query, node])
            assert episodes.propensity[row, stage] == episodes.probs[row, stage, action] > 0
            assert episodes.mask[row, stage].tolist() == legal_actions(table, allow_stop)[query, node].tolist()
            assert episodes.spent[row, stage] == pytest.approx(spent)
            if action == tree.num_models:
                assert episodes.end[row] == "stop"
                assert episodes.cost[row, stage] == 0
                break
            node = tree.child(node, action)
            spent += table.cost[query, node]
            assert episodes.cost[row, stage] == pytest.approx(table.cost[query, node])
            assert episodes.tokens_out[row, stage] == table.tokens_out[query, node]
        assert node == routes.answer[row]
        assert episodes.quality[row] == table.quality[query, node]
        assert episodes.task[row] == table.queries[query].task
        assert (episodes.end[row] == "horizon") == (tree.stages[node] == tree.horizon)


def test_mean_quality_and_cost_are_the_exact_ones():
    """40,000 episodes: each mean within four of its standard errors of the recursion's value."""
    table = random_table(seed=3, queries=6, models=2, missing=0.2)
    probs, queries = lopsided(table), np.array([0, 2, 5])
    episodes = simulate(table, probs, queries, 40_000, np.random.default_rng(0))
    exact = np.mean([value(table, probs, query) for query in queries], axis=0)
    for values, truth in zip((episodes.quality, episodes.total_cost), exact, strict=True):
        assert abs(values.mean() - truth) < 4 * values.std() / len(values) ** 0.5
    assert propensity_check(episodes.probs[episodes.taken], episodes.action[episodes.taken]).p_value > 0.001


def test_feedback_comes_for_its_share_of_the_episodes():
    table = random_table()
    episodes = simulate(table, even(table), np.arange(6), 4000, np.random.default_rng(1), feedback=0.25)
    assert abs(np.isfinite(episodes.quality).mean() - 0.25) < 4 * (0.25 * 0.75 / 4000) ** 0.5


def test_one_seed_is_one_log():
    table = random_table()
    one, two, other = (
        simulate(table, even(table), np.arange(6), 50, np.random.default_rng(seed)).action for seed in (0, 0, 1)
    )
    assert one.tolist() == two.tolist() != other.tolist()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda probs: probs * 0.5, r"probs of query 'q0' at node 0 are .*must sum to 1 over the actions"),
        (lambda probs: np.ones_like(probs) / 4, r"probs of query 'q0' at node 0 are \[0.25, 0.25, 0.25, 0.25\]"),
        (lambda probs: probs[:, 0], r"probs: shape is \(6, 4\), but \(6, 13, 4\) is needed"),
    ],
)
def test_probabilities_that_are_none_are_refused(change, sentence):
    table = random_table()
    with pytest.raises(InputError, match=sentence):
        draw_routes(table, change(even(table)), np.arange(6), 3, np.random.default_rng(0))


def test_a_policy_that_stops_where_it_must_not_is_refused():
    table = random_table()
    with pytest.raises(InputError, match="must sum to 1 over the actions that can be taken"):
        simulate(table, even(table), np.arange(6), 3, np.random.default_rng(0), allow_stop=False)


def test_queries_that_cannot_be_asked_are_refused():
    table = random_table()
    table.available[2, 1:] = False
    with pytest.raises(InputError, match="the table holds no hop of 'q2'"):
        draw_routes(table, even(table), np.array([1, 2]), 3, np.random.default_rng(0))
    with pytest.raises(InputError, match="episodes need at least one"):
        draw_routes(table, even(table), np.array([], dtype=int), 3, np.random.default_rng(0))
