"""Exact match folds white space and nothing else."""

import pytest

from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.outcomes.table import Query


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
