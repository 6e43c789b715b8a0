"""Fixed sequences, the task classifier and random on tables whose right answer is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.baselines import oracle, sequences
from hierrouter_jax.baselines.problem import Problem
from tests.baselines.known_tables import (
    with_quality,
)
from tests.tables import random_table, tables


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


def test_a_mean_return_is_drawn_to_that_of_all_where_few_queries_hold_the_node():
    """Node 1 is held by all 40 queries, worth 0; node 2 by four, worth 1: (4 + 10 x 4 / 44) / 14."""
    table = with_quality(random_table(queries=40, models=2, horizon=1, tasks=1), {0: [(1,)]})
    available = table.available.copy()
    available[4:, 2] = False
    table = replace(table, available=available)
    mean = sequences.mean_returns(table, False, 0.0)
    assert mean[0] == -np.inf
    assert mean[1:] == pytest.approx([(0 + 10 * 4 / 44) / 50, (4 + 10 * 4 / 44) / 14])
    everywhere = replace(table, available=np.ones_like(available))
    assert sequences.mean_returns(everywhere, False, 0.0)[1:] == pytest.approx([0.0, 1.0])


def test_candidates_are_nodes_of_the_hops_that_are_asked_for():
    tree = random_table(models=2, horizon=2).tree
    assert np.flatnonzero(sequences.candidates(tree, True)).tolist() == [3, 4, 5, 6]
    assert np.flatnonzero(sequences.candidates(tree, False)).tolist() == [1, 2, 3, 4, 5, 6]
    assert np.flatnonzero(sequences.candidates(tree, False, hops=1)).tolist() == [1, 2]


def test_fitted_sequences_end_where_their_training_says():
    """Task 0 is solved by model 1 alone, task 1 by (0, 0) alone, which is right on most queries of all."""
    table = with_quality(random_table(queries=30, models=2, horizon=2, tasks=2), {0: [(1,)], 1: [(0, 0)]})
    table = replace(table, queries=tuple(replace(query, split="train") for query in table.queries))
    more = table.select(np.flatnonzero((table.task == 1) | (np.arange(30) < 10)))
    problem = Problem(more, more, lambda embedding: embedding)
    single, repeated = more.tree.node([1]), more.tree.node([0, 0])
    ends = {
        "model": sequences.fit_one_model(problem, model=1, hops=2)(more),
        "best": sequences.fit_best_sequence(problem, fixed_length=False)(more),
        "task": sequences.fit_best_single_per_task(problem)(more),
        "oracle": sequences.fit_oracle(problem, fixed_length=False)(more),
        "random": sequences.fit_random(problem, allow_stop=True)(more),
    }
    assert set(ends["model"].argmax(axis=1)) == {more.tree.node([1, 1])}
    assert set(ends["best"].argmax(axis=1)) == {repeated}
    assert set(ends["task"][more.task == 0].argmax(axis=1)) == {single}
    assert (ends["oracle"].argmax(axis=1) == np.where(more.task == 0, single, repeated)).all()
    np.testing.assert_array_equal(ends["random"], sequences.random_policy(more, True))
    assert sequences.repeated_call(more, 0, 2).tolist() == [repeated] * more.num_queries
    assert sequences.task_scores(problem, False)[:, [single, repeated]] == pytest.approx(np.eye(2))


def test_a_sequence_for_each_task_is_chosen_by_a_classifier_of_the_query():
    table = with_quality(random_table(queries=60, models=2, horizon=1, tasks=2), {0: [(0,)], 1: [(1,)]})
    embedding = table.context_embedding.copy()
    embedding[:, 0, 0] = np.where(table.task == 1, 3.0, -3.0)
    table = replace(table, context_embedding=embedding)
    problem = Problem(table.split("train"), table.split("validation"), lambda embedding: embedding)
    test = table.split("test")
    assert sequences.fit_task_sequence(problem, True)(test).argmax(axis=1).tolist() == (test.task + 1).tolist()
