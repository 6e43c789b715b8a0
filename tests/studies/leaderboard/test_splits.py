"""Splits hold what they promise: sizes, shares of tasks, no duplicates across, every fold tested once."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierrouter_jax.errors import InputError
from hierrouter_jax.studies.leaderboard.splits import (
    Split,
    at_first_rows,
    clusters,
    folds,
    given_split,
    questions_tested,
    random_splits,
)
from tests.tables import random_table


def parted(split, group) -> bool:
    """Whether a group lies in more than one part."""
    parts = [set(group[rows].tolist()) for rows in split]
    return any(parts[a] & parts[b] for a, b in ((0, 1), (0, 2), (1, 2)))


@settings(max_examples=10)
@given(st.integers(0, 1000), st.integers(1, 4), st.integers(0, 20))
def test_random_splits_have_their_sizes_and_never_part_duplicates(seed, tasks, pairs):
    rng = np.random.default_rng(seed)
    task = rng.integers(0, tasks, 120)
    group = np.arange(120)
    group[-pairs or 120 :] = group[:pairs]  # so many queries are written twice
    splits = random_splits(task, group, 3, 60, 40, 0.2, seed)
    for split in splits:
        assert [len(rows) for rows in split] == [48, 12, 40]
        assert len(np.unique(np.concatenate(split))) == 100
        assert not parted(split, group)
    assert questions_tested(splits, np.arange(120)).sum() == 120
    again = random_splits(task, group, 3, 60, 40, 0.2, seed)
    for one, other in zip(splits, again, strict=True):
        assert [rows.tolist() for rows in one] == [rows.tolist() for rows in other]


def test_every_task_has_its_share():
    task = np.repeat([0, 1, 2], [50, 30, 20])
    for split in random_splits(task, np.arange(100), 4, 60, 20, 0.5, 0):
        assert np.bincount(task[split.test]).tolist() == [10, 6, 4]


def test_folds_test_every_query_once_and_keep_duplicates_together():
    task, group = np.arange(60) % 3, np.arange(60) // 2
    cut = folds(task, group, 4, 0.25, 1)
    assert questions_tested(cut, np.arange(60)).sum(axis=0).tolist() == [1] * 60
    assert not any(parted(split, group) for split in cut)
    with pytest.raises(InputError, match="folds is 31"):
        folds(task, group, 31, 0.2, 0)
    with pytest.raises(InputError, match="folds is 7, but no task has more than 6 queries"):
        folds(np.arange(60) // 6, np.arange(60), 7, 0.2, 0)


def test_the_tables_own_split_loses_what_leaks():
    """Query 0 (train) is query 2 (test) again: it is left out; without validation a part of train becomes it."""
    table = random_table(queries=30)
    group = np.arange(30)
    group[2] = 0
    split = given_split(table, group, 0.2, 0)
    assert 0 not in split.train
    assert 2 in split.test
    assert len(split.train) == 9
    plain = tuple(replace(q, split="train" if q.split == "validation" else q.split) for q in table.queries)
    split = given_split(replace(table, queries=plain), group, 0.2, 0)
    assert (len(split.train), len(split.validation), len(split.test)) == (15, 4, 10)
    assert split.of(table).split("validation").num_queries == 4


def test_what_cannot_be_drawn_is_refused():
    task = np.zeros(10, int)
    with pytest.raises(InputError, match="the table has 10 queries"):
        random_splits(task, np.arange(10), 1, 8, 3, 0.2, 0)
    with pytest.raises(InputError, match="no way to draw exactly 3"):
        random_splits(task, np.arange(10) // 2, 1, 0, 3, 0.2, 0)
    with pytest.raises(InputError, match="leaves one part empty"):
        random_splits(task, np.arange(10), 1, 4, 3, 0.01, 0)


def test_clusters_are_numbered_without_gaps():
    assert clusters(np.array([0, 5, 5, 9])).tolist() == [0, 1, 1, 2]


def test_replicates_count_once_at_their_first_tested_row():
    """Rows 1, 3 and 4 are of question 1, of which row 1 is in no part."""
    question, test = np.array([0, 1, 2, 1, 1]), np.array([2, 3, 4])
    values = np.array([[0.5, 1.0, 0.0], [2.0, 3.0, 5.0]])
    first, means = at_first_rows(values, test, question)
    assert first.tolist() == [3, 2]
    assert means.tolist() == [[0.5, 0.5], [4.0, 2.0]]
    split = Split(np.array([0]), np.array([], int), test)
    assert questions_tested([split], question).tolist() == [[False, False, True, True, False]]
