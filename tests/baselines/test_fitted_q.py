"""Fitted Q on the trees of a log: values are the tree's own where regression is exact; its greedy policy is good."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.baselines.fitted_q import ContextParts, doubly_robust_values, fit_q, grouped
from hierrouter_jax.baselines.kernel import CHANGE, QUERY, kernel_ridge
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


@pytest.mark.parametrize("width", [3, 40, 80])
def test_parts_are_as_wide_as_the_kernel_takes_them_for(width):
    """However narrow the embedding, the first columns are of the query alone, and the rest of the change."""
    trees = log_trees(logged(random_table(queries=6, embedding=width), 100)[0])
    root = trees.embedding[trees.context_at()[trees.context_query, 0]]
    mapped = ContextParts.fit(trees)(root, trees.embedding)
    assert mapped.shape == (len(root), QUERY + CHANGE)
    later = trees.context_node > 0
    np.testing.assert_array_equal(mapped[:, :QUERY], ContextParts.fit(trees)(root, root)[:, :QUERY])
    assert mapped[later, QUERY:].any(axis=1).all()


def even(x, y, known):
    """A regression that predicts .5 of everything."""
    return Fitted(lambda new: np.full((len(new), y.shape[1]), 0.5), lambda: np.full(y.shape, 0.5))


def judged_in_part(episodes, share):
    """The episodes, of which about that share keeps its feedback by chance."""
    blank = np.random.default_rng(0).random(len(episodes)) >= share
    return replace(episodes, quality=np.where(blank, np.nan, episodes.quality))


def test_a_doubly_robust_value_by_hand():
    """Predicted .5; of two decisions at the root one was action 1, one action 0, at propensity 1/3: weights 3 / 2."""
    episodes = logged(random_table(queries=1, horizon=1), 2, allow_stop=False)[0]
    assert episodes.action[:, 0].tolist() == [1, 0]
    trees = log_trees(episodes)
    values = doubly_robust_values(fit_q(trees, grouped(even), 0.0), trees, episodes)[0]
    np.testing.assert_allclose(values[[1, 0]], 0.5 + 1.5 * (episodes.quality - 0.5))
    assert (values[2:] == 0.5).all()


def test_a_doubly_robust_value_of_a_log_that_is_judged_by_half_by_hand():
    """As above, but the second episode is not judged: the first stands for it, too, and its weight is 3 / 2 / .5."""
    episodes = logged(random_table(queries=1, horizon=1), 2, allow_stop=False)[0]
    half = replace(episodes, quality=np.where([True, False], episodes.quality, np.nan))
    trees = log_trees(half)
    values = doubly_robust_values(fit_q(trees, grouped(even), 0.0), trees, half)[0]
    np.testing.assert_allclose(values[1], 0.5 + 3 * (episodes.quality[0] - 0.5))
    assert (values[[0, 2, 3]] == 0.5).all()


@pytest.mark.parametrize("share", [1.0, 0.5, 0.2])
def test_doubly_robust_values_are_right_on_average_where_predictions_are_wrong(share):
    table = random_table(queries=1500, horizon=1)
    episodes = judged_in_part(logged(table, 3000, allow_stop=False)[0], share)
    trees = log_trees(episodes)
    q = fit_q(trees, grouped(even), 0.0)
    values = doubly_robust_values(replace(q, held_out=q.held_out - 0.5), trees, episodes)
    truth = table.quality[:, 1:].mean(axis=0)
    assert truth.min() > 0.4
    np.testing.assert_allclose(values[:, :3].mean(axis=0), truth, atol=0.06)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.2])
def test_what_was_found_beyond_a_prediction_counts_once_on_average(share):
    """After one hop, where a call leads on and has a target in any case, and STOP has one where it was judged."""
    table = random_table(queries=300, models=2, horizon=3)
    episodes = judged_in_part(logged(table, 6000)[0], share)
    trees = log_trees(episodes)
    q = fit_q(trees, grouped(even), 0.0)
    beyond_by_one = replace(q, target=np.where(np.isfinite(q.target), q.held_out + 1, np.nan))
    counted = doubly_robust_values(beyond_by_one, trees, episodes) - q.held_out
    np.testing.assert_allclose(counted[trees.stage == 1].mean(axis=0), 1, atol=0.1)
