"""Verdicts: exact match folds white space and nothing else; a table is graded once for each response."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.bridge.grading.verdict import (
    Verdict,
    check_paired,
    count_verdicts,
    exact_match,
    graded,
    one_by_one,
)
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query
from tests.tables import random_table


@pytest.mark.parametrize(
    ("response", "quality"),
    [("forty-one men", 1.0), ("  forty-one \n men ", 1.0), ("Forty-one men", 0.0), ("forty-onemen", 0.0), ("", 0.0)],
)
def test_exact_match(response, quality):
    assert exact_match(response, Query("q", "?", "task", "forty-one  men", "test")) == quality


def test_a_function_becomes_a_grader():
    query = Query("q", "?", "task", "x", "test")
    verdicts = one_by_one(lambda response, query: len(response) / 4)(["", " xx ", "x  y"[:4]], [query] * 3)
    assert [(v.quality, v.extracted, v.reason) for v in verdicts] == [
        (0.0, "", "wrong"),
        (1.0, "xx", "right"),
        (1.0, "x y", "right"),
    ]
    assert one_by_one(lambda response, query: 0.5)(["x"], [query])[0].reason == "partly right"


def test_a_table_is_graded_once_for_each_response_and_a_failed_call_is_wrong():
    table = random_table(queries=2, models=2, horizon=1)
    response = np.array([["", "x", "x"], ["", "x", "y"]], dtype=object)
    failed = np.array([[False, False, False], [False, False, True]])
    seen = []

    def grader(responses, queries):
        seen.extend((text, query.id) for text, query in zip(responses, queries, strict=True))
        return [Verdict(0.5, f"<{text}>", "partly: x") for text in responses]

    why = np.array([[""] * 3, ["", "", "out of reach"]], dtype=object)
    new = graded(replace(table, response=response), grader, failed, why)
    assert seen == [("x", "q0"), ("x", "q1")]
    assert new.quality.tolist() == [[0, 0.5, 0.5], [0, 0.5, 0]]
    assert new.details["extracted"].tolist() == [["", "<x>", "<x>"], ["", "<x>", ""]]
    assert new.details["reason"][1].tolist() == ["", "partly: x", "failed: out of reach"]
    assert count_verdicts(new) == {"task0": {"partly": 2}, "task1": {"failed": 1, "partly": 1}}
    with pytest.raises(InputError, match="gave 0 verdicts for 2 responses"):
        graded(replace(table, response=response), lambda responses, queries: [], failed, why)


def test_responses_and_queries_come_in_pairs():
    query = Query("q", "?", "task", "x", "test")
    check_paired(["x"], [query])
    with pytest.raises(InputError, match="1 responses for 2 queries; there must be one each"):
        check_paired(["x"], [query, query])
