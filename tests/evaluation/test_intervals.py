"""Intervals whose answer is known; aggregates over runs: rliable's own numbers, and rliable itself beside them."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from hierrouter_jax.evaluation.intervals import (
    interquartile_mean,
    interquartile_mean_estimate,
    interquartile_mean_interval,
    mean_interval,
    percentile_interval,
    probability_of_improvement_estimate,
    proportion_interval,
    seed_interval,
)
from hierrouter_jax.outcomes.replicates import mean_by_question

# The scores of rliable's tests/rliable/metrics_test.py, and the numbers it says they have.
X = np.array([[1, 2], [2, 2], [1, 1], [2, 1]])
Y = np.array([[1, 1], [2, 2], [3, 3]])
# Those of its tests/library_test.py: five runs of sixteen tasks.
RUNS = np.arange(80.0).reshape(5, 16)


def improvement(x: np.ndarray, y: np.ndarray) -> float:
    return float(probability_of_improvement_estimate(x, y, resamples=2).value)


def test_rliables_example_numbers():
    assert interquartile_mean(X) == 1.5
    assert interquartile_mean(Y) == 2
    assert improvement(X, Y) == pytest.approx(1 / 3)


def test_a_quarter_is_trimmed_at_each_end_over_all_strata_together():
    """0, 0, 0, 1, 2, 3, 100, 100 without two at each end: (0 + 1 + 2 + 3) / 4."""
    assert interquartile_mean(np.array([[0.0, 100.0], [0.0, 3.0], [0.0, 2.0], [1.0, 100.0]])) == pytest.approx(1.5)


@pytest.fixture(scope="module")
def rliable():
    pytest.importorskip("rliable", reason="rliable is not installed")
    from rliable import library, metrics  # loads for seconds

    np.random.seed(0)  # the library draws from numpy's global state
    return library, metrics


def test_the_interquartile_mean_and_its_interval_are_rliables(rliable):
    library, metrics = rliable
    scores = {"runs": RUNS, "flat": np.random.default_rng(1).random((10, 5))}
    points, intervals = library.get_interval_estimates(
        scores, lambda drawn: np.array([metrics.aggregate_iqm(drawn)]), reps=2000
    )
    for name, its in scores.items():
        ours = interquartile_mean_estimate(its, resamples=4000)
        assert ours.value == pytest.approx(points[name][0])
        width = intervals[name][1, 0] - intervals[name][0, 0]
        assert [ours.low, ours.high] == pytest.approx(intervals[name][:, 0], abs=0.06 * width)


def test_the_probability_of_improvement_and_its_interval_are_rliables(rliable):
    library, metrics = rliable
    rng = np.random.default_rng(2)
    pair = [np.round(rng.random((8, 3)), 1), np.round(rng.random((6, 3)) + 0.15, 1)]  # with ties
    points, intervals = library.get_interval_estimates({"pair": pair}, metrics.probability_of_improvement, reps=1000)
    ours = probability_of_improvement_estimate(*pair, resamples=4000)
    assert ours.value == pytest.approx(points["pair"])
    assert [ours.low, ours.high] == pytest.approx(intervals["pair"].ravel(), abs=0.04)


def test_a_learning_curve_is_every_updates_own_interquartile_mean():
    curves = np.random.default_rng(3).random((6, 1, 4))
    band = interquartile_mean_estimate(curves)
    for update in range(4):
        assert band.value[update] == pytest.approx(interquartile_mean(curves[:, :, update]))
    assert (band.low <= band.value).all()
    assert (band.value <= band.high).all()
    curves[2, 0, 1] = np.nan  # a run that gave no number is not trimmed away as if it were the best
    assert np.isnan(interquartile_mean_estimate(curves)).any(axis=0).tolist() == [False, True, False, False]


scores = arrays(float, (4, 2), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]))


@given(scores, scores)
def test_improvements_of_two_over_each_other_add_up_to_1(x, y):
    assert improvement(x, y) + improvement(y, x) == pytest.approx(1)
    assert improvement(x, x + 2) == 0


@given(scores)
def test_an_interval_lies_within_the_scores_and_constant_scores_have_none(x):
    estimate = interquartile_mean_estimate(x, resamples=50)
    assert x.min() - 1e-9 <= estimate.low <= estimate.high <= x.max() + 1e-9
    assert interquartile_mean_estimate(np.full((3, 2), 0.5), resamples=5) == (0.5, 0.5, 0.5)


def test_clopper_pearson_of_no_failures_is_the_closed_form():
    """0 of 30: upper bound 1 - .025^(1/30)."""
    low, high = proportion_interval(0, 30)
    assert (low, high) == pytest.approx((0.0, 1 - 0.025 ** (1 / 30)))


def test_a_bootstrap_interval_is_near_the_normal_one():
    values = np.repeat([0.0, 1.0], [240, 360])
    low, high = mean_interval(values)
    half = 1.96 * np.sqrt(0.6 * 0.4 / 600)
    assert (low, high) == pytest.approx((0.6 - half, 0.6 + half), abs=0.006)


@pytest.mark.parametrize("count", [7, 1500])
def test_a_bootstrap_interval_is_scipys_whatever_is_held_at_once(count):
    """Above 1,414 values not all of the jackknife is held at once."""
    values = np.random.default_rng(count).random(count)
    whole = stats.bootstrap((values,), np.mean, n_resamples=2000, rng=np.random.default_rng(0))
    assert mean_interval(values) == tuple(whole.confidence_interval)


def test_a_bootstrap_interval_needs_no_square_of_its_values():
    """Every pair of 20,000 numbers would take 3.2 GB."""
    tracemalloc.start()
    mean_interval(np.random.default_rng(0).random(20_000))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2e8


def test_constant_values_have_an_interval_without_width():
    assert mean_interval(np.ones(5)) == (1.0, 1.0)
    assert mean_interval(np.zeros(5)) == (0.0, 0.0)
    assert interquartile_mean_interval(np.full(4, 0.5)) == (0.5, 0.5, 0.5)


def test_values_that_differ_by_rounding_have_an_interval():
    """.7 averaged over groups of unequal size is .7 but for its last digit."""
    sizes = np.arange(300) % 7 + 1
    values = mean_by_question(np.full(sizes.sum(), 0.7), np.repeat(np.arange(300), sizes))
    assert 0 < np.ptp(values) < 1e-15
    assert mean_interval(values) == pytest.approx((0.7, 0.7), abs=1e-15)


def test_the_interquartile_mean_drops_a_quarter_at_each_end():
    """0, 1, 2, 100 without its ends: 1.5."""
    assert interquartile_mean_interval(np.array([0.0, 1.0, 2.0, 100.0]))[0] == pytest.approx(1.5)


def test_the_interquartile_mean_along_an_axis_by_hand():
    """Rows 0, 1, 2, 100 and 5, 5, 7, 9 without their ends: 1.5 and 6."""
    values = np.array([[100.0, 1.0, 0.0, 2.0], [5.0, 9.0, 7.0, 5.0]])
    np.testing.assert_array_equal(interquartile_mean(values, axis=1), [1.5, 6.0])
    np.testing.assert_array_equal(interquartile_mean(values.T, axis=0), [1.5, 6.0])
    assert np.isnan(interquartile_mean(np.array([np.nan, 1.0, 2.0, 3.0])))


def test_a_percentile_interval_by_hand():
    assert percentile_interval(np.arange(101.0)) == (2.5, 97.5)


def test_a_seed_interval_by_hand():
    """Means 2 and 5 of three seeds, spread 1: the t-quantile of two degrees of freedom is 4.303."""
    band = seed_interval(np.array([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]))
    np.testing.assert_allclose(band.value, [2.0, 5.0])
    np.testing.assert_allclose(band.high - band.value, 4.3027 / np.sqrt(3), rtol=1e-4)
    np.testing.assert_allclose(band.low + band.high, 2 * band.value)
    assert np.isnan(seed_interval(np.ones((1, 2))).low).all()
