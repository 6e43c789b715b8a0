"""Two policies query by query, by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.policy_outcome import ending_at, policy_outcome
from hierrouter_jax.report.data.routers import Side, check_same_evaluation, pair_section
from tests.tables import random_table


def side(name, run, table, ends):
    """A policy that ends where it is told, without a run behind it."""
    files = SimpleNamespace(evaluation={"table": {"split": "test"}, "money_unit": "credits"}, name=run)
    cost = policy_outcome(table, ending_at(ends, table.tree)).cost
    policies = SimpleNamespace(part=table, files=files, ends=lambda _: ends, cost=lambda *_: cost)
    return Side(policies, name, run)  # type: ignore[arg-type]


def test_an_ab_counts_who_is_right_by_hand():
    """Four queries: both right, only A, neither by other routes, and neither by the same route."""
    table = random_table(1, queries=4, models=2, horizon=1)
    table.quality[:, 1:] = [[1, 1], [1, 0], [0, 0], [0, 0]]
    ends = np.array([1, 1, 1, 1]), np.array([1, 2, 2, 1])
    picture = pair_section(side("ppo", "one", table, ends[0]), side("exact", "two", table, ends[1]))
    numbers = picture.context["numbers"]
    assert numbers["counts"] == {"both": 1, "only_a": 1, "only_b": 0, "neither": 2}
    assert (numbers["accuracy"]["a"], numbers["accuracy"]["b"]) == (0.5, 0.25)
    assert numbers["accuracy"]["difference"] == 0.25
    assert numbers["same_route"] == 2
    assert [(row["query_id"], row["group"]) for row in picture.rows] == [("q1", "only_a"), ("q2", "neither")]
    row = picture.rows[0]
    assert (row["a_route"], row["a_answer"], row["b_route"], row["b_answer"]) == ("m0", "r1.1", "m1", "r1.2")
    assert row["a_cost"] == pytest.approx(table.cost[1, 1])
    assert "only the first is right on 1 queries" in picture.context["sentence"]


def test_runs_of_other_queries_are_refused_by_what_differs():
    table = {"fingerprint": "one", "split": "test"}
    check_same_evaluation(("a", table), ("b", dict(table)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a was evaluated on the split test and b on the split validation"):
        check_same_evaluation(("a", table), ("b", {**table, "split": "validation"}))  # type: ignore[arg-type]
