"""Trees of a log: routes of one query come together, and what was seen is what the table holds."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.outcomes.log_trees import log_trees
from hierrouter_jax.studies.simulate import draw_routes, simulate
from tests.studies.test_simulate import even
from tests.tables import random_table, tables


def logged(table, number, seed=0, allow_stop=True):
    """Episodes of the even policy, and the table's rows that they asked."""
    rows = np.arange(table.num_queries)
    probs = even(table, allow_stop)
    routes = draw_routes(table, probs, rows, number, np.random.default_rng(seed), allow_stop)
    return simulate(table, probs, rows, number, np.random.default_rng(seed), allow_stop), routes


@given(tables(), st.integers(0, 1000), st.booleans())
def test_a_tree_holds_what_the_table_does(table, seed, allow_stop):
    table = table.select(table.answered)
    if not table.num_queries:
        return
    episodes, routes = logged(table, 40, seed, allow_stop)
    trees = log_trees(episodes)
    np.testing.assert_array_equal(trees.answer, routes.answer)
    row_of = dict(zip(trees.query.tolist(), routes.query.tolist(), strict=True))
    for query, row in row_of.items():
        entered, judged = np.isfinite(trees.cost[query]), np.isfinite(trees.quality[query])
        entered[0] = False
        np.testing.assert_allclose(trees.cost[query, entered], table.cost[row, entered], rtol=1e-6)
        np.testing.assert_allclose(trees.quality[query, judged], table.quality[row, judged])
        assert set(np.flatnonzero(judged)) == set(routes.answer[trees.query == query])
    for query, node, embedding in zip(trees.context_query, trees.context_node, trees.embedding, strict=True):
        np.testing.assert_array_equal(embedding, table.context_embedding[row_of[query], node])


def test_episodes_of_one_query_share_a_tree():
    table = random_table(queries=4)
    episodes, routes = logged(table, 200)
    trees = log_trees(episodes)
    assert trees.num_queries == 4
    assert len({(own, its) for own, its in zip(trees.query, routes.query, strict=True)}) == 4


def test_what_models_answered_otherwise_gets_trees_apart():
    """Two episodes with the same first context and first model, whose second contexts differ."""
    table = random_table(queries=1)
    episodes, routes = logged(table, 60, allow_stop=False)
    first, second = np.flatnonzero(routes.node[:, 1] == 1)[:2]
    embedding = episodes.embedding.copy()
    embedding[second, 1] += 1.0
    trees = log_trees(replace(episodes, embedding=embedding).only(np.array([first, second])))
    assert trees.num_queries == 2


def test_the_quality_of_an_answer_is_the_mean_of_what_was_said_of_it():
    table = random_table(queries=1, horizon=1, models=1)
    episodes, _ = logged(table, 4)
    quality = np.array([1.0, 0.0, 0.0, np.nan])
    trees = log_trees(replace(episodes, quality=quality))
    assert trees.quality[0, 1] == 1 / 3


def test_some_queries_only_keep_their_own():
    table = random_table(queries=5)
    trees = log_trees(logged(table, 100)[0])
    mask = np.array([True, False, True, False, False])
    some = trees.only(mask)
    np.testing.assert_array_equal(some.quality, trees.quality[mask])
    assert set(some.query) == {0, 1}
    kept = mask[trees.context_query]
    np.testing.assert_array_equal(some.embedding, trees.embedding[kept])
    assert (some.context_at() >= 0).sum() == kept.sum()
