"""Exact match folds white space and nothing else."""

import pytest

from hierrouter_jax.bridge.grading import exact_match
from hierrouter_jax.outcomes.table import Query


@pytest.mark.parametrize(
    ("response", "quality"),
    [("forty-one men", 1.0), ("  forty-one \n men ", 1.0), ("Forty-one men", 0.0), ("forty-onemen", 0.0), ("", 0.0)],
)
def test_exact_match(response, quality):
    assert exact_match(response, Query("q", "?", "task", "forty-one  men", "test")) == quality
