"""Fitted Q on the trees of a log: values are the tree's own where regression is exact; its greedy policy is good."""

import numpy as np

from hierrouter_jax.baselines.fitted_q import ContextParts, doubly_robust_values, fit_q, grouped
from hierrouter_jax.baselines.kernel import kernel_ridge
from hierrouter_jax.baselines.oracle import oracle_fixed
from hierrouter_jax.baselines.regressors import Fitted
from hierrouter_jax.outcomes.log_trees import log_trees
from tests.outcomes.test_log_trees import logged
from tests.tables import random_table


def oracle(x, y, known):
    """A regression that knows every target, and holds nothing out."""
    return Fitted(lambda new: np.where(known, y, 0.0)[: len(new)], lambda: np.where(known, y, -1.0))


def test_values_of_whole_trees_are_backward_induction():
    """Every route of four queries is in the log: with targets known, worths are the best return to come."""
    table = random_table(queries=4, models=2)
    trees = log_trees(logged(table, 800, allow_stop=False)[0])
    weight = 0.01
    q = fit_q(trees, grouped(oracle), weight)
    place = trees.context_at()
    row_of = dict.fromkeys(range(4))
    for query in row_of:
        root = trees.embedding[place[query, 0]]
        row = int((table.context_embedding[:, 0] == root).all(axis=1).argmax())
        best = table.quality[row].astype(float)
        for node in reversed(range(table.tree.num_decision_nodes)):
            children = table.tree.child(node, np.arange(2))
            returns = best[children] - weight * table.cost[row, children]
            np.testing.assert_allclose(q.held_out[place[query, node], :2], returns, atol=1e-6)
            best[node] = returns.max()


def test_the_greedy_policy_of_an_even_log_is_close_to_the_oracle():
    table = random_table(queries=12, models=2, embedding=16)
    q = fit_q(log_trees(logged(table, 600, allow_stop=False)[0]), kernel_ridge, 0.0)
    root, at, row = table.context_embedding[:, 0], np.zeros(12, int), np.arange(12)
    for stage in range(table.tree.horizon):
        action = q.values(root, table.context_embedding[row, at], stage)[:, :2].argmax(axis=1)
        at = table.tree.child(at, action)
    best = table.quality[row, oracle_fixed(table)].mean()
    assert table.quality[row, at].mean() > 0.75 * best
    assert table.quality[:, table.tree.stage_slice(3)].mean() < 0.6 * best


def test_at_contexts_values_stay_between_the_targets():
    trees = log_trees(logged(random_table(queries=6), 100)[0])
    q = fit_q(trees, kernel_ridge, 0.0)
    assert q.at_contexts.min() >= 0
    assert q.at_contexts.max() <= 1


def test_parts_tell_the_query_from_what_responses_changed():
    trees = log_trees(logged(random_table(queries=6), 100)[0])
    parts = ContextParts.fit(trees)
    root = trees.embedding[trees.context_at()[trees.context_query, 0]]
    columns = parts.query[1].shape[1]
    mapped = parts(root, trees.embedding)
    np.testing.assert_allclose(mapped[:, :columns], parts(root, root)[:, :columns])
    assert (mapped[trees.context_node == 0, columns:] == 0).all()
    later = mapped[trees.context_node > 0, columns:]
    assert abs(np.square(later).sum(axis=1).mean() - 1) < 1e-6


def even(x, y, known):
    """A regression that predicts .5 of everything."""
    return Fitted(lambda new: np.full((len(new), y.shape[1]), 0.5), lambda: np.full(y.shape, 0.5))


def test_a_doubly_robust_value_by_hand():
    """Predicted .5; of two decisions at the root one was action 1, one action 0, at propensity 1/3: weights 3 / 2."""
    episodes = logged(random_table(queries=1, horizon=1), 2, allow_stop=False)[0]
    assert episodes.action[:, 0].tolist() == [1, 0]
    trees = log_trees(episodes)
    values = doubly_robust_values(fit_q(trees, grouped(even), 0.0), trees, episodes)[0]
    np.testing.assert_allclose(values[[1, 0]], 0.5 + 1.5 * (episodes.quality - 0.5))
    assert (values[2:] == 0.5).all()


def test_doubly_robust_values_are_right_on_average_where_predictions_are_wrong():
    table = random_table(queries=1500, horizon=1)
    episodes, _ = logged(table, 3000, allow_stop=False)
    trees = log_trees(episodes)
    values = doubly_robust_values(fit_q(trees, grouped(even), 0.0), trees, episodes)
    truth = table.quality[:, 1:].mean(axis=0)
    assert abs(truth - 0.5).max() > 0.05
    np.testing.assert_allclose(values[:, :3].mean(axis=0), truth, atol=0.06)
