"""Draws: exact counts, every stratum's share, and no duplicate group in two splits."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hierrouter_jax.bridge.tasks.draw import draw_splits, stratified_order
from hierrouter_jax.errors import InputError

STRATA = st.lists(st.sampled_from("aaaabbc123456789"), min_size=1, max_size=120)
SPLITS = ("train", "validation", "test")


@given(STRATA, st.integers(0, 9))
def test_every_start_of_the_order_holds_each_stratum_s_share(strata, seed):
    order = stratified_order(strata, seed)
    assert sorted(order) == list(range(len(strata)))
    share = {name: size / len(strata) for name, size in Counter(strata).items()}
    so_far: Counter[str] = Counter()
    for place, row in enumerate(order, start=1):
        so_far[strata[row]] += 1
        assert all(abs(so_far[name] - share[name] * place) < 1 for name in share)


def test_two_strata_by_hand():
    """Three of a and one of b: b is due at the second or third place, whatever the seed."""
    for seed in range(9):
        order = stratified_order(["a", "a", "b", "a"], seed)
        assert order.index(2) in (1, 2)


def test_the_seed_says_which():
    strata = ["x"] * 50
    assert stratified_order(strata, 1) == stratified_order(strata, 1)
    assert stratified_order(strata, 1) != stratified_order(strata, 2)


def _drawn(counts, strata, groups, seed=0, skip=0):
    everything = np.ones(len(strata), dtype=bool)
    return draw_splits(counts, dict.fromkeys(SPLITS, everything), np.array(groups), strata, set(), seed, "task t", skip)


@given(
    st.lists(st.sampled_from("aab"), min_size=100, max_size=100),
    st.tuples(st.integers(0, 30), st.integers(0, 8), st.integers(0, 25)),
    st.integers(0, 5),
)
def test_a_larger_draw_contains_the_smaller(strata, small, skip):
    """One source for all splits, which stay clear of each other: up to 38 + 5, 16 and 35 of 100."""
    counts = dict(zip(SPLITS, small, strict=True))
    larger = {split: count + 8 for split, count in counts.items()}
    few, many = (_drawn(some, strata, range(100), skip=skip) for some in (counts, larger))
    for split in SPLITS:
        assert set(few[split].tolist()) <= set(many[split].tolist())


def test_a_pilot_is_never_among_the_queries():
    """Items 2k and 2k + 1 are duplicates: neither a pilot's question nor its twin is drawn."""
    groups = [row // 2 for row in range(100)]
    pilot = _drawn({"train": 0, "validation": 0, "test": 7}, ["x"] * 100, groups)
    table = _drawn({"train": 24, "validation": 10, "test": 20}, ["x"] * 100, groups, skip=7)
    training = _drawn({"train": 86, "validation": 0, "test": 0}, ["x"] * 100, groups, skip=7)
    assert len(pilot["test"]) == 7
    for drawn in (table, training):
        queries = {groups[row] for rows in drawn.values() for row in rows.tolist()}
        assert not queries & {groups[row] for row in pilot["test"].tolist()}


@given(st.lists(st.integers(0, 30), min_size=60, max_size=60), st.integers(0, 5))
def test_no_group_straddles(groups, seed):
    group, everything = np.array(groups), np.ones(60, dtype=bool)
    taken = {int(group[0])}
    eligible = dict.fromkeys(("train", "validation", "test"), everything)
    counts = {"train": 3, "validation": 2, "test": 3}
    assume(len(set(groups)) > 9)  # else a split may be left with nothing to draw from
    drawn = draw_splits(counts, eligible, group, [""] * 60, taken, seed, "task t")
    assert {split: len(rows) for split, rows in drawn.items()} == counts
    sets = [set(group[rows].tolist()) for rows in drawn.values()]
    assert not any(group[0] in one for one in sets)
    assert all(not one & other for place, one in enumerate(sets) for other in sets[place + 1 :])


def test_too_many_are_refused():
    eligible = {split: np.ones(5, dtype=bool) for split in ("train", "validation", "test")}
    counts = {"train": 2, "validation": 0, "test": 4}
    with pytest.raises(InputError, match="task t: 2 train queries are asked for, but 1 are left: 5 in its source"):
        draw_splits(counts, eligible, np.arange(5), [""] * 5, set(), 0, "task t")
