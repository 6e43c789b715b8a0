"""Opponents and oracles on tables whose right answer is known, and against brute force."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.baselines import oracle, sequences
from hierrouter_jax.envs.types import accumulate_cost
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.coverage import evaluated_queries
from hierrouter_jax.outcomes.table import OutcomeTable
from tests.tables import random_table, tables


def with_quality(table: OutcomeTable, right: dict[int, list[tuple[int, ...]]]) -> OutcomeTable:
    """Quality 1 exactly at the given routes of each task index, 0 elsewhere."""
    quality = np.zeros_like(table.quality)
    for task, routes in right.items():
        for route in routes:
            quality[table.task == task, table.tree.node(route)] = 1.0
    return replace(table, quality=quality)


def test_sequences_by_construction():
    """Two tasks of equal size: (1, 0, 2) solves both, (0, 1, 1) task 0 only, one call of model 2 task 1."""
    table = with_quality(random_table(queries=12, tasks=2), {0: [(1, 0, 2), (0, 1, 1)], 1: [(1, 0, 2), (2,)]})
    tree = table.tree
    assert sequences.best_sequence(table, True, 0.0) == tree.node([1, 0, 2])
    assert sequences.best_sequence(table, False, 0.001, hops=1) == tree.node([2])
    dear = 10 * table.cost.max()
    cheap_stop = sequences.best_per_task(table, False, 1 / dear)
    assert cheap_stop[1] == tree.node([2])
    assert tree.stages[cheap_stop[0]] == 3


def test_the_task_classifier_reads_the_query_embedding():
    table = random_table(queries=60, tasks=2)
    embedding = table.context_embedding.copy()
    embedding[:, 0, 0] = np.where(table.task == 1, 3.0, -3.0)
    table = replace(table, context_embedding=embedding)
    classify = sequences.fit_task_classifier(table.split("train"), table.split("validation"), lambda e: e)
    test = table.split("test")
    assert (classify(test) == test.task).all()
    one_task = random_table(queries=6, tasks=1)
    same = sequences.fit_task_classifier(one_task.split("train"), one_task.split("validation"), lambda e: e)
    assert same(one_task).tolist() == [0] * 6


@given(table=tables(), allow_stop=st.booleans())
def test_random_is_the_mean_over_all_ways_to_walk(table, allow_stop):
    def walk(query: int, node: int, probability: float) -> None:
        inner = node < table.tree.num_decision_nodes
        children = [int(table.tree.child(node, m)) for m in range(table.tree.num_models)] if inner else []
        options = [child for child in children if table.available[query, child]]
        stops = not options or (allow_stop and node > 0)
        share = probability / (len(options) + stops)
        slow[query, node] += share * stops
        for child in options:
            walk(query, child, share)

    slow = np.zeros(table.quality.shape)
    for query in range(table.num_queries):
        walk(query, 0, 1.0)
    np.testing.assert_allclose(sequences.random_policy(table, allow_stop), slow, atol=1e-12)


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
    assert oracle.co_failure(table) == (5, 10)


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
    assert oracle.co_failure(table) == (2, 3)
    part = evaluated_queries(table, "test")
    assert [query.id for query in part.queries] == ["q0", "q1", "q3"]
    assert part.quality[np.arange(3), oracle.oracle_stop(part)].tolist() == [1, 0, 1]
    with pytest.raises(InputError, match="holds no hop of any test query"):
        evaluated_queries(table.select(np.array([2])), "test")


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 0, 2)])
def test_permuting_the_models_permutes_the_answers(order):
    table = random_table(queries=9, tasks=1)
    tree = table.tree
    node_of = np.array([tree.node([order[m] for m in tree.route(n)]) for n in range(tree.num_nodes)])
    fields = ("quality", "tokens_in", "tokens_out", "available", "response", "latency")
    permuted = replace(
        table,
        pool=tuple(table.pool[m] for m in order),
        **{name: getattr(table, name)[:, node_of] for name in fields},
        context_embedding=table.context_embedding[:, node_of[: tree.num_decision_nodes]],
        details={},
    )
    assert node_of[sequences.best_sequence(permuted, True, 0.01)] == sequences.best_sequence(table, True, 0.01)
    for allow_stop in (False, True):
        ours, theirs = (sequences.random_policy(t, allow_stop) for t in (permuted, table))
        np.testing.assert_allclose(ours, theirs[:, node_of])
    assert (node_of[oracle.oracle_stop(permuted)] == oracle.oracle_stop(table)).all()
