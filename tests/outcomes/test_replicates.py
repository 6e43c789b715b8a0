"""Replicates: means and variances by question, by hand and against the obvious version; rows that stay together."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.duplicates import find_duplicates
from hierrouter_jax.outcomes.replicates import (
    first_rows,
    mean_by_question,
    of_other_rows,
    repeated_by_seed,
    replicates_report,
    variance_within,
)
from hierrouter_jax.outcomes.store import load_table, save_table
from hierrouter_jax.outcomes.table import Query
from tests.tables import random_table, replicated

QUESTION = np.array([0, 1, 0, 2, 1, 0])


def test_means_and_variances_by_hand():
    """Question 0 has 1, 0, 1: mean 2/3, variance 1/3; 1 has 0, 1: mean and variance 1/2; 2 has .4 alone."""
    values = np.array([1.0, 0.0, 0.0, 0.4, 1.0, 1.0])
    np.testing.assert_allclose(mean_by_question(values, QUESTION), [2 / 3, 0.5, 0.4])
    assert variance_within(values, QUESTION) == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert np.isnan(variance_within(values, np.arange(6)))


def test_of_the_other_rows_by_hand():
    """-inf is no entry: of question 0 the second node is there in its last row alone."""
    no = -np.inf
    values = np.array([[1.0, no], [0.0, 0.2], [0.5, no], [0.4, 0.1], [1.0, 0.6], [0.0, 0.8]])
    wanted = [[0.25, 0.8], [1.0, 0.6], [0.5, 0.8], [0.4, 0.1], [0.0, 0.2], [0.75, no]]
    np.testing.assert_allclose(of_other_rows(values, QUESTION), wanted)


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1)), min_size=1, max_size=20))
def test_against_the_obvious_version(rows):
    question = np.unique([row[0] for row in rows], return_inverse=True)[1]
    values = np.array([row[1] for row in rows])
    parts = [values[question == number] for number in range(question.max() + 1)]
    np.testing.assert_allclose(mean_by_question(values, question), [part.mean() for part in parts])
    several = [part.var(ddof=1) for part in parts if len(part) > 1]
    if several:
        assert variance_within(values, question) == pytest.approx(np.mean(several), abs=1e-12)


def test_every_query_is_asked_under_every_seed():
    one, two = Query("a", "A?", "t", "1", "train"), Query("b-order2", "B?", "t", "2", "test", question="b")
    again = repeated_by_seed([one, two], 3)
    assert again[:2] == (one, two)
    assert [(query.id, query.question, query.seed) for query in again[2:]] == [
        ("a-seed1", "a", 1),
        ("b-order2-seed1", "b", 1),
        ("a-seed2", "a", 2),
        ("b-order2-seed2", "b", 2),
    ]
    assert repeated_by_seed(again, 1) == again
    with pytest.raises(InputError, match="query 'a-seed1' is a replicate by seed already"):
        repeated_by_seed(again, 2)


def test_a_table_of_replicates_is_saved_and_read_whole(tmp_path):
    table = replicated(random_table(), 3)
    save_table(table, tmp_path)
    read = load_table(tmp_path)
    assert read.queries == table.queries
    assert read.fingerprint == table.fingerprint != random_table().fingerprint
    assert read.question.tolist() == [0, 1, 2, 3, 4, 5, 2, 5, 2, 5]
    assert first_rows(read.select(np.arange(4, 10))).tolist() == [0, 1, 2]


def test_rows_of_one_question_stay_together():
    table = replicated(random_table(), 2)
    moved = (*table.queries[:-1], replace(table.queries[-1], split="train"))
    with pytest.raises(InputError, match="'q5-seed1' and 'q5' ask one question, but split is 'train' and 'test'"):
        replace(table, queries=moved)
    group = find_duplicates(["What is the sum of one and two?", "Who?", "What?"]).joined(np.array([0, 1, 1]))
    assert group.tolist() == [0, 1, 1]


def test_what_is_reported_of_a_table():
    """One question twice, its first hops right once by m0, twice by m1, never by m2: variances 1/2, 0 and 0."""
    table = replicated(random_table(queries=1, splits=("test",), horizon=1), 2)
    assert replicates_report(table.select([0])) is None
    report = replicates_report(replace(table, quality=np.float32([[0, 1, 1, 0], [0, 0, 1, 0]])))
    assert report == {
        "questions": 1,
        "rows": 2,
        "fewest": 2,
        "most": 2,
        "variance_within": {"m0": 0.5, "m1": 0.0, "m2": 0.0},
        "variance_all_hops": pytest.approx(0.5 / 3),
    }
