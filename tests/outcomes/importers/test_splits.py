"""Splits are seeded, in proportion, and never straddled by a duplicate group; leaks are counted and dropped."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.duplicates import Duplicates, Pair, find_duplicates
from hierrouter_jax.outcomes.importers.splits import draw, draw_validation, leak_report, leaked
from hierrouter_jax.outcomes.table import SPLITS

EQUAL, NEAR = 1.0, 0.9


def found(size: int, *pairs: tuple[int, int, float]) -> Duplicates:
    return Duplicates(tuple(Pair(*pair, equal=pair[2] == EQUAL) for pair in pairs), size)


@st.composite
def grouped(draw_from):
    """Tasks, duplicate groups (each named by its first member) and completeness of up to twenty queries."""
    size = draw_from(st.integers(1, 20))
    links = draw_from(st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=5))
    pairs = sorted({(min(pair), max(pair), EQUAL) for pair in links if pair[0] != pair[1]})
    flags = st.lists(st.booleans(), min_size=size, max_size=size)
    return ["ab"[flag] for flag in draw_from(flags)], found(size, *pairs).group, np.array(draw_from(flags))


@settings(max_examples=40)
@given(grouped(), st.integers(0, 3))
def test_no_group_straddles_and_partial_queries_train(queries, seed):
    task, group, complete = queries
    shares = {"train": 3, "validation": 1, "test": 2}
    split = draw(shares, task, group, complete, seed)
    assert split == draw(shares, task, group, complete, seed)
    assert all(split[row] == split[first] for row, first in enumerate(group))
    assert all(split[row] == "train" for row in np.flatnonzero(~complete))


def test_counts_are_met_exactly_and_each_task_in_proportion():
    """1,319 and 257 and 164 queries into 960, 240 and 540."""
    task = ["a"] * 1319 + ["b"] * 257 + ["c"] * 164
    shares = {"train": 960, "validation": 240, "test": 540}
    whole = np.ones(1740, dtype=bool)
    split = draw(shares, task, np.arange(1740), whole, seed=0)
    assert [split.count(name) for name in SPLITS] == [960, 240, 540]
    for name in "abc":
        rows = [row for row, of in enumerate(task) if of == name]
        for part, share in shares.items():
            assert abs(sum(split[row] == part for row in rows) - len(rows) * share / 1740) <= 2
    assert draw(shares, task, np.arange(1740), whole, seed=1) != split


def test_validation_is_drawn_from_train_alone():
    given_splits = ["train"] * 10 + ["test"] * 5
    split = draw_validation(0.2, given_splits, ["a"] * 15, np.arange(15), np.ones(15, dtype=bool), seed=0)
    assert split[10:] == ["test"] * 5
    assert split[:10].count("validation") == 2


@pytest.mark.parametrize("shares", [{}, {"train": 0}, {"train": -1, "test": 2}, {"trian": 1}])
def test_shares_that_make_no_sense_are_refused(shares):
    with pytest.raises(InputError, match="must be weights of train, validation, test"):
        draw(shares, ["a"], np.arange(1), np.ones(1, dtype=bool), 0)


def test_leaks_by_hand():
    """Test 3 equals train 0; test 4 is near train 1; validation 2 equals test 5; pair 0, 1 lies inside train."""
    split = ["train", "train", "validation", "test", "test", "test"]
    duplicates = found(6, (0, 1, NEAR), (0, 3, EQUAL), (1, 4, NEAR), (2, 5, EQUAL))
    queries = pd.DataFrame({"query_id": list("uvwxyz"), "task": list("aabaab"), "split": split})
    report = leak_report(queries, duplicates)
    assert report["leaked"] == {
        "validation": {"b": {"queries": 1, "exact": 0, "near": 0}},
        "test": {"a": {"queries": 2, "exact": 1, "near": 1}, "b": {"queries": 1, "exact": 1, "near": 0}},
    }
    assert (report["exact_pairs"], report["near_pairs"], report["groups"]) == (2, 2, 2)
    assert [(pair["first"], pair["second"]) for pair in report["pairs_across_splits"]] == [
        ("u", "x"),
        ("v", "y"),
        ("w", "z"),
    ]
    assert leaked(split, duplicates.group, "train").tolist() == [True, True, True, False, False, False]
    assert leaked(split, duplicates.group, "test").tolist() == [False, False, False, True, True, True]
    assert not leaked(split, duplicates.group, "keep").any()


def test_a_copy_leaks_also_where_one_of_its_own_split_comes_first():
    """Test 0 and 2 equal train 1; test 3 is near them, and so are validation 4 and its equal, test 5."""
    duplicates = found(6, (0, 1, EQUAL), (0, 2, EQUAL), (0, 3, NEAR), (0, 4, NEAR), (4, 5, EQUAL))
    split = ["test", "train", "test", "test", "validation", "test"]
    queries = pd.DataFrame({"query_id": list("uvwxyz"), "task": ["a"] * 6, "split": split})
    assert leak_report(queries, duplicates)["leaked"] == {
        "validation": {"a": {"queries": 1, "exact": 0, "near": 1}},
        "test": {"a": {"queries": 4, "exact": 3, "near": 1}},
    }


def test_unequal_texts_of_the_same_shingles_leak_nearly():
    duplicates = Duplicates((Pair(0, 1, 1.0, equal=False),), 2)
    queries = pd.DataFrame({"query_id": ["u", "v"], "task": ["a", "a"], "split": ["train", "test"]})
    assert leak_report(queries, duplicates)["leaked"]["test"] == {"a": {"queries": 1, "exact": 0, "near": 1}}


@settings(max_examples=40)
@given(grouped(), st.sampled_from(["train", "test"]), st.integers(0, 5))
def test_after_dropping_no_group_straddles_and_no_group_is_lost(queries, leaks, seed):
    _, group, _ = queries
    split = np.random.default_rng(seed).choice(SPLITS, size=len(group))
    kept = ~leaked(split.tolist(), group, leaks)
    for name in np.unique(group):
        assert len(set(split[kept & (group == name)])) == 1


def test_a_planted_copy_with_an_instruction_behind_it_is_near():
    text = "A robe takes two bolts of blue fiber and half that much white fiber; how many bolts are that in all?"
    pairs = find_duplicates([text, text + " Put your final answer in a box."]).pairs
    assert len(pairs) == 1
    assert pairs[0].similarity < 1
