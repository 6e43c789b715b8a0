"""Arrays of a log for learners: rewards by hand, and features that weigh stages alike."""

import numpy as np

from hierrouter_jax.outcomes.log_trees import log_trees
from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.training.log_arrays import Economy, context_values, fit_log_features, logged_steps, rewards
from tests.outcomes.test_log_trees import logged
from tests.tables import random_table

TIES = (3, 0, 1, 2)


def test_rewards_add_up_to_the_return():
    """Quality at the last decision, and minus .5 / 4 of the money at every hop."""
    episodes, _ = logged(random_table(), 50)
    reward = rewards(episodes, Economy(0.5, 4.0))
    np.testing.assert_allclose(reward.sum(axis=1), episodes.quality - 0.125 * episodes.total_cost)
    assert (reward[~episodes.taken] == 0).all()
    first = episodes.taken[:, 1]
    np.testing.assert_allclose(reward[first, 0], -0.125 * episodes.cost[first, 0])


def test_the_mean_of_contexts_weighs_every_stage_the_same():
    trees = log_trees(logged(random_table(queries=20), 200)[0])
    features = fit_log_features(trees, 4, TIES)
    by_stage = [trees.embedding[trees.stage == stage].mean(axis=0) for stage in range(3)]
    np.testing.assert_allclose(features.reduction.mean, np.mean(by_stage, axis=0), atol=1e-5)
    assert features.tie_order == TIES
    assert features.cost_normaliser == np.nanmean(trees.cost[:, 1:])


def test_steps_are_those_of_judged_episodes():
    episodes, _ = logged(random_table(), 30)
    episodes.quality[::2] = np.nan
    trees = log_trees(episodes)
    features = fit_log_features(trees, 4, TIES)
    steps = logged_steps(episodes, features, Economy(0.01, 1.0))
    assert steps.taken.shape == (15, 3)
    np.testing.assert_array_equal(steps.action, episodes.action[1::2])
    assert np.isfinite(steps.reward).all()


def test_contexts_know_what_was_spent():
    table = random_table(queries=1, horizon=3)
    trees = log_trees(logged(table, 60, allow_stop=False)[0])
    features = fit_log_features(trees, 4, TIES)
    contexts = context_values(trees, np.zeros(trees.legal.shape), features)
    count, total = len(trees.context_node), accumulate_cost(table.cost, table.tree)[0]
    assert 8 < contexts.count == count < len(contexts.spent) == 16
    for node, spent in zip(trees.context_node, contexts.spent[:count], strict=True):
        np.testing.assert_allclose(spent * features.cost_normaliser, total[node], rtol=1e-5)
    np.testing.assert_array_equal(contexts.mask[:count], trees.legal)
