"""Oracles on tables whose right answer is known, and against brute force."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.baselines import oracle
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.coverage import evaluated_queries
from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.outcomes.table import OutcomeTable
from tests.baselines.known_tables import (
    with_quality,
)
from tests.tables import random_table, replicated, tables


@given(table=tables(missing=0.0), cost_weight=st.sampled_from([0.0, 0.01, 1.0]))
def test_oracles_are_the_best_of_all_routes(table, cost_weight):
    rows = np.arange(table.num_queries)
    values = table.quality - cost_weight * accumulate_cost(table.cost, table.tree)
    leaves = table.tree.stage_start(table.tree.horizon)
    for nodes, candidates, best in (
        (oracle.oracle_fixed(table), table.quality[:, leaves:], table.quality),
        (oracle.oracle_stop(table), table.quality[:, 1:], table.quality),
        (oracle.oracle_return(table, cost_weight, True), values[:, 1:], values),
        (oracle.oracle_return(table, cost_weight, False), values[:, leaves:], values),
    ):
        np.testing.assert_allclose(best[rows, nodes], candidates.max(axis=1), atol=1e-6)


def test_the_oracle_takes_the_cheapest_of_equals():
    table = with_quality(random_table(queries=3, tasks=1), {0: [(2,), (2, 0), (0, 1, 2)]})
    cost = accumulate_cost(table.cost, table.tree)
    nodes = [table.tree.node(route) for route in ([2], [2, 0], [0, 1, 2])]
    assert oracle.oracle_stop(table).tolist() == [nodes[i] for i in cost[:, nodes].argmin(axis=1)]


def test_co_failure_counts_queries_that_no_model_answers_alone():
    table = with_quality(random_table(queries=10, tasks=2), {0: [(1,)], 1: [(0, 1), (2, 2, 2)]})
    assert (oracle.failed_alone(table).sum(), table.answered.sum()) == (5, 10)


def gaps() -> OutcomeTable:
    """M = 2, L = 2: nodes 1 and 2, then 3, 4 after 1 and 5, 6 after 2; those of `held` were run, of `right` well."""
    held = {0: (1, 2), 1: (1,), 2: (), 3: (1, 3, 4)}
    right = {0: (2,), 3: (4,)}
    table = random_table(queries=4, models=2, horizon=2, tasks=1, splits=("test",))
    available, quality = np.zeros_like(table.available), np.zeros_like(table.quality)
    available[:, 0] = True
    for query in range(4):
        available[query, list(held[query])] = True
        quality[query, list(right.get(query, ()))] = 1.0
    return replace(table, available=available, quality=quality)


def test_what_was_not_run_is_no_wrong_answer():
    """Query 0 ends after one hop, for there is no more; 1 is the only one asked, and wrong; of 2 nothing is known."""
    table = gaps()
    assert oracle.oracle_fixed(table).tolist() == [2, 1, 0, 4]
    assert oracle.oracle_stop(table).tolist() == [2, 1, 0, 4]
    assert (oracle.failed_alone(table).sum(), table.answered.sum()) == (2, 3)
    part = evaluated_queries(table, "test")
    assert [query.id for query in part.queries] == ["q0", "q1", "q3"]
    assert part.quality[np.arange(3), oracle.oracle_stop(part)].tolist() == [1, 0, 1]
    with pytest.raises(InputError, match="holds no hop of any test query"):
        evaluated_queries(table.select(np.array([2])), "test")


def test_where_routes_can_end_and_what_they_are_worth():
    """As in `gaps`: without STOP a route ends where the table holds no further hop; exactly two hops end at 3 and 4."""
    table = gaps()
    ends = oracle.endings(table, fixed_length=True)
    assert [np.flatnonzero(row).tolist() for row in ends] == [[1, 2], [1], [], [3, 4]]
    assert [np.flatnonzero(row).tolist() for row in oracle.endings(table, False)] == [[1, 2], [1], [], [1, 3, 4]]
    whole = oracle.route_values(table, fixed_length=True, cost_weight=0.5)
    spent = table.cost[3, 1] + table.cost[3, 4]
    assert np.isfinite(whole).sum() == 2
    assert whole[3, 4] == pytest.approx(1 - 0.5 * spent)
    assert np.isfinite(oracle.route_values(table, False, 0.5)).sum() == 6


def test_a_route_is_chosen_on_one_replicate_and_scored_on_another():
    """Two models, one hop, two replicates of one question: first the one is right, then the other.

    On its own row an oracle is always right. Chosen on the other row it is always wrong.
    """
    table = replicated(random_table(queries=1, models=2, horizon=1, splits=("test",)), 2)
    table = replace(table, quality=np.float32([[0, 1, 0], [0, 0, 1]]))
    assert oracle.lucky_best(table, fixed_length=False).tolist() == [1, 2]
    for best in (oracle.oracle_fixed, oracle.oracle_stop, lambda table: oracle.oracle_return(table, 0.0, True)):
        assert best(table).tolist() == [2, 1]


def test_the_maximum_over_coins_is_luck():
    """Every answer is a fair coin: nothing can be chosen, though the best of 6 coins is right on 98 % of rows."""
    rng = np.random.default_rng(0)
    table = replicated(random_table(queries=600, models=2, horizon=2, splits=("test",)), 3)
    quality = rng.integers(0, 2, size=table.quality.shape).astype(np.float32)
    quality[:, 0] = 0
    table, rows = replace(table, quality=quality), np.arange(1800)
    assert table.quality[rows, oracle.lucky_best(table, False)].mean() == pytest.approx(1 - 2**-6, abs=0.01)
    assert table.quality[rows, oracle.oracle_stop(table)].mean() == pytest.approx(0.5, abs=0.04)  # 3.4 standard errors


@given(table=tables(queries=4), count=st.integers(2, 3))
def test_equal_replicates_change_no_choice(table, count):
    again = replicated(table, count)
    for best in (oracle.oracle_fixed, oracle.oracle_stop):
        np.testing.assert_array_equal(best(again)[: table.num_queries], best(table))


def test_a_route_that_a_replicate_lacks_is_not_chosen_there():
    table = replicated(random_table(queries=1, models=2, horizon=1, splits=("test",)), 2)
    available = np.array([[True, True, False], [True, True, True]])
    table = replace(table, available=available, quality=np.float32([[0, 0, 0], [0, 0, 1]]))
    assert oracle.oracle_stop(table).tolist() == [1, 1]
    alone = replace(table, available=np.array([[True, False, True], [True, True, False]]))
    assert oracle.oracle_stop(alone).tolist() == [2, 1]
