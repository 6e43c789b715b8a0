"""Several splits of the same queries: means and resamples by hand, and clustering that is felt."""

import numpy as np
import pytest

from hierrouter_jax.evaluation.paired import crossed_means, crossed_resamples
from hierrouter_jax.evaluation.repeats import Repeats

TESTED = np.array([[True, True, False, False], [False, True, True, False]])


def test_a_mean_over_splits_by_hand():
    """Split 0 tests 0 and 1, split 1 tests 1 and 2; query 3 is never tested: ((1 + 0) / 2 + (1 + 1) / 2) / 2."""
    values = np.array([[1.0, 0.0, 9.0, 9.0], [9.0, 1.0, 1.0, 9.0]])
    repeats = Repeats(TESTED, np.arange(4))
    assert repeats.by_split(values).tolist() == [0.5, 1.0]
    assert repeats.mean(values) == pytest.approx(0.75)


def test_one_split_without_duplicates_is_the_plain_bootstrap():
    values = np.random.default_rng(0).random((1, 30))
    repeats = Repeats(np.ones((1, 30), bool), np.arange(30), resamples=200, seed=4)
    assert repeats.resampled(values) == pytest.approx(crossed_means(values, crossed_resamples(1, 30, 200, 4)))


def test_a_constant_difference_has_no_interval():
    repeats = Repeats(TESTED, np.arange(4), resamples=100)
    values = np.random.default_rng(1).random((2, 4))
    assert repeats.resampled(values + 0.25) - repeats.resampled(values) == pytest.approx(np.full(100, 0.25))


def test_queries_tested_again_and_again_are_not_more_evidence():
    """The same 50 queries in ten splits: the spread of the mean is that of 50, not of 500."""
    one = (np.arange(50) % 2).astype(float)[None]
    alone = Repeats(np.ones((1, 50), bool), np.arange(50), resamples=1000).resampled(one).std()
    ten = Repeats(np.ones((10, 50), bool), np.arange(50), resamples=1000).resampled(np.repeat(one, 10, axis=0)).std()
    assert ten == pytest.approx(alone, rel=0.1)
    assert alone == pytest.approx(0.5 / 50**0.5, rel=0.1)


def test_duplicates_are_redrawn_together():
    """Fifty queries, each twice: as fifty."""
    values = np.repeat(np.arange(50) % 2, 2).astype(float)[None]
    together = Repeats(np.ones((1, 100), bool), np.repeat(np.arange(50), 2), resamples=1000).resampled(values).std()
    assert together == pytest.approx(0.5 / 50**0.5, rel=0.1)


def test_flipped_differences_by_hand():
    """Contributions .5 (query 0), .25 + .25 (1) and .5 (2), over two splits: every sum of half of those, signs free."""
    differences = np.where(TESTED, 1.0, 0.0)[None]
    flipped = Repeats(TESTED, np.arange(4), seed=1).flipped(differences)
    assert set(np.round(flipped[:, 0], 6)) == {-1.0, -0.5, 0.0, 0.5, 1.0}
    assert Repeats(TESTED, np.arange(4)).mean(differences[0]) == pytest.approx(1.0)
