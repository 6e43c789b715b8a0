"""Repaired and damaged answers by pair of models, counted by hand and against the flips of whole routes."""

from dataclasses import replace

import numpy as np

from hierrouter_jax.evaluation.policy_outcome import flips
from hierrouter_jax.outcomes.changes import COUNTS, changes
from hierrouter_jax.outcomes.failures import ALL_TASKS
from tests.tables import random_table


def test_counts_of_three_queries_by_hand():
    table = random_table(models=2, horizon=2, queries=3)
    table = replace(
        table,
        available=np.ones_like(table.available),
        # nodes: query, a, b, aa, ab, ba, bb
        quality=np.array([[0, 1, 0, 1, 0, 1, 0], [0, 0, 0, 1, 0, 0, 0], [0, 1, 1, 0, 0, 1, 1]], np.float32),
    )
    a, b = table.model_names
    everything = [row for row in changes(table) if row.pop("task") == ALL_TASKS]
    assert everything == [
        {"hop": 2, "before": a, "after": a, "wrong": 1, "repaired": 1, "right": 2, "damaged": 1},
        {"hop": 2, "before": a, "after": b, "wrong": 1, "repaired": 0, "right": 2, "damaged": 2},
        {"hop": 2, "before": b, "after": a, "wrong": 2, "repaired": 1, "right": 1, "damaged": 0},
        {"hop": 2, "before": b, "after": b, "wrong": 2, "repaired": 0, "right": 1, "damaged": 0},
    ]


def test_hops_whose_answer_before_is_missing_do_not_count():
    table = random_table(models=2, horizon=2, queries=20)
    available = np.ones_like(table.available)
    available[:, [3, 4]] = False
    its = [row for row in changes(replace(table, available=available)) if row["task"] == ALL_TASKS]
    assert [row["wrong"] + row["right"] for row in its] == [0, 0, 20, 20]


def test_the_tasks_add_up_and_two_hops_flip_as_whole_routes_do():
    table = random_table(models=3, horizon=2, queries=60)
    table = replace(table, available=np.ones_like(table.available))
    rows = changes(table)
    repaired, damaged = flips(table.quality, table.tree)
    everything = [row for row in rows if row["task"] == ALL_TASKS]
    assert sum(row["repaired"] for row in everything) == repaired.sum()
    assert sum(row["damaged"] for row in everything) == damaged.sum()
    for row in everything:
        pair = row["before"], row["after"]
        parts = [one for one in rows if one["task"] != ALL_TASKS and (one["before"], one["after"]) == pair]
        assert {name: sum(one[name] for one in parts) for name in COUNTS} == {name: row[name] for name in COUNTS}


def test_one_hop_changes_nothing():
    assert changes(random_table(models=2, horizon=1, queries=5)) == []
