"""Draws: exact counts, every stratum's share, and no duplicate group in two splits."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hierrouter_jax.bridge.tasks.draw import draw_splits, stratified
from hierrouter_jax.errors import InputError

STRATA = st.lists(st.sampled_from("aaaabbc123456789"), min_size=1, max_size=120)


@given(STRATA, st.data())
def test_any_count_is_drawn_and_large_strata_keep_their_share(strata, data):
    count = data.draw(st.integers(0, len(strata)))
    rows = stratified(strata, count, seed=data.draw(st.integers(0, 9)))
    assert len(rows) == len(set(rows.tolist())) == count
    assert rows.tolist() == sorted(rows.tolist())
    drawn, sizes = Counter(strata[row] for row in rows), Counter(strata)
    fewest = min(count, len(strata) - count)
    for name, size in sizes.items():
        if size * fewest >= 2 * len(strata):
            assert abs(drawn[name] - size * count / len(strata)) <= 1


def test_the_seed_says_which():
    strata = ["x"] * 50
    assert stratified(strata, 20, 1).tolist() == stratified(strata, 20, 1).tolist()
    assert stratified(strata, 20, 1).tolist() != stratified(strata, 20, 2).tolist()


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
