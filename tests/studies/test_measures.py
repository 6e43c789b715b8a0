"""What studies share, by hand on small tables."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.policy_outcome import ending_at, policy_outcome
from hierrouter_jax.studies.measures import (
    achieved,
    called_once,
    charged,
    co_failure,
    duplicate_groups,
    means,
    opponents,
    problem_of,
    question_clusters,
    ratio,
    route_shares,
    task_rows,
)
from hierrouter_jax.training.features import fit_features
from hierrouter_jax.training.router import router_cost
from tests.conditioned import priced_table, random_router
from tests.tables import random_table, replicated


def test_models_beside_the_pool_are_matched_by_query():
    table = random_table(queries=6, models=2, horizon=2)
    beside = random_table(seed=5, queries=6, models=2, horizon=1).select(np.arange(6)[::-1])
    beside = replace(beside, pool=tuple(replace(member, name=f"large-{member.name}") for member in beside.pool))
    part = table.split("test")
    found = called_once(beside, part)
    assert list(found) == ["large-m0", "large-m1"]
    for model, name in enumerate(found):
        ids = [query.id for query in beside.queries]
        rows = [ids.index(query.id) for query in part.queries]
        assert found[name][1].quality.tolist() == beside.quality[rows, 1 + model].tolist()
        assert np.allclose(found[name][1].cost, beside.cost[rows, 1 + model])
    assert called_once(None, part) == {}
    with pytest.raises(InputError, match="have no answer to query 'q2'"):
        called_once(beside.select(np.array([0])), part)
    available = beside.available.copy()
    available[[query.id for query in beside.queries].index("q5"), 2] = False
    with pytest.raises(InputError, match="external model 'large-m1' has no answer to query 'q5'"):
        called_once(replace(beside, available=available), part)
    with pytest.raises(InputError, match="money unit is 'dollars'"):
        called_once(replace(beside, money_unit="dollars"), part)


def test_means_and_ceilings_by_hand():
    """Four queries answered by model 0, right on one of them; model 1 is right on another: two are lost to both."""
    table = random_table(queries=4, models=2, horizon=1, tasks=1, splits=("test",))
    table.quality[:, 1:] = [[1, 0], [0, 1], [0, 0], [0, 0]]
    outcome = policy_outcome(table, ending_at(np.ones(4, int), table.tree))
    assert means(outcome) == {"accuracy": 0.25, "cost": pytest.approx(table.cost[:, 1].mean())}
    assert means(outcome, np.array([0]))["accuracy"] == 1.0
    row = achieved(outcome)
    assert row["accuracy_ci"][0] <= row["accuracy"] == 0.25 <= row["accuracy_ci"][1]
    failure = co_failure(table)
    assert failure["value"] == 0.5
    assert failure["ci"] == pytest.approx([0.0676, 0.9324], abs=1e-4)  # Clopper and Pearson of 2 in 4


def test_what_costs_nothing_is_no_unit_of_cost():
    assert (ratio(3.0, 2.0), ratio(0.0, 2.0), ratio(3.0, 0.0), ratio(0.0, 0.0)) == (1.5, 0.0, None, None)


def test_routes_and_tasks_by_hand():
    table = random_table(queries=4, models=2, horizon=2, tasks=3)
    rows = dict(task_rows(table.select(np.array([0, 1, 3]))))
    assert {task: its.tolist() for task, its in rows.items()} == {"task0": [0, 2], "task1": [1]}
    ends = np.array([[table.tree.node((0, 1)), table.tree.node((1,))], [table.tree.node((0, 1))] * 2])
    assert route_shares(ends, table) == [
        {"route": ["m0", "m1"], "stopped": False, "share": 0.75},
        {"route": ["m1"], "stopped": True, "share": 0.25},
    ]


def test_duplicates_and_replicates_are_one_cluster_by_hand():
    """Three questions asked twice, of which the last has the text of the first."""
    table = replicated(random_table(queries=3, splits=("test",)), 2)
    texts = ("one apple", "seven brown pears", "one apple") * 2
    queries = tuple(replace(query, text=text) for query, text in zip(table.queries, texts, strict=True))
    table = replace(table, queries=queries)
    assert duplicate_groups(table).tolist() == [0, 1, 0, 0, 1, 0]
    assert question_clusters(table).tolist() == [0, 1, 0]


def test_deciding_is_charged_once_for_every_network_that_decides():
    table = priced_table(queries=30, tasks=3)
    router, part = random_router(table), table.split("test")
    outcome = policy_outcome(part, router.end_probability(part, 0))
    own = router_cost(router, outcome, part)
    assert (own > 0).all()
    np.testing.assert_array_equal(charged(router, outcome, part).cost, outcome.cost + own)
    np.testing.assert_array_equal(charged(router, outcome, part, 3).cost, outcome.cost + 3 * own)


def test_opponents_are_fitted_on_training_and_answer_the_part():
    table = random_table(queries=60)
    part = table.split("test")
    problem = problem_of(table, fit_features(table.split("train"), 4), 0.5, seed=7)
    assert (problem.weight, problem.seed) == (0.5, 7)
    assert problem.train.num_queries == table.split("train").num_queries
    assert problem.validation.num_queries == table.split("validation").num_queries
    entries = {entry.name: entry for entry in opponents(part, problem)}
    assert {"best-single", "task-sequence+stop", "oracle_stop", "random"} <= set(entries)
    assert entries["oracle_stop"].stops
    assert not entries["best-single"].ends[:, 0].any()
    assert all(entry.ends.sum(axis=1) == pytest.approx(1) for entry in entries.values())
