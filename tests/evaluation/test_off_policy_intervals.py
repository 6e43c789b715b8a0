"""Intervals of off-policy estimates: by hand where that can be, and by how often they cover."""

import numpy as np
import pytest
from scipy import stats

from hierrouter_jax.evaluation.off_policy_intervals import bernstein_interval, bootstrap_interval, skewness_interval


def test_without_skewness_it_is_the_t_interval_by_hand():
    """Values -1 and 1, 50 times each: mean 0, standard error .1, t of 99 degrees of freedom."""
    values = np.tile([-1.0, 1.0], 50)
    low, high = skewness_interval(values, 100)
    assert (low, high) == pytest.approx((-0.1 * stats.t.ppf(0.975, 99), 0.1 * stats.t.ppf(0.975, 99)))
    wider = skewness_interval(values, 10)
    assert wider[1] == pytest.approx(0.1 * stats.t.ppf(0.975, 9))
    assert skewness_interval(values, 100, 0.99)[1] == pytest.approx(0.1 * stats.t.ppf(0.995, 99))


def test_the_best_of_ten_is_covered_where_the_intervals_hold_all_at_once():
    """600 draws of ten policies of the same value; each time the one of the best mean is judged on what chose it."""
    draws = np.random.default_rng(0).normal(size=(600, 10, 60))
    best = [one[one.mean(axis=1).argmax()] for one in draws]

    def covered(confidence: float) -> float:
        return float(
            np.mean([low <= 0 <= high for low, high in (skewness_interval(one, 60, confidence) for one in best)])
        )

    assert covered(0.95) < 0.85
    assert covered(1 - 0.05 / 10) >= 0.94


def test_its_bounds_are_where_the_transformed_statistic_is_the_quantile():
    """g(T) = T + a T^2 / 3 + a^2 T^3 / 27 + a / 6 at both bounds, by the formula and not by its inverse."""
    values = np.array([0.0] * 5 + [1.0] * 95)
    error, a = values.std() / 10, stats.skew(values) / 10
    for bound, sign in zip(skewness_interval(values, 100), (1, -1), strict=True):
        t = (values.mean() - bound) / error
        g = t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6
        assert g == pytest.approx(sign * stats.t.ppf(0.975, 99))


def test_values_that_do_not_vary_have_no_width():
    assert skewness_interval(np.full(9, 0.3), 9) == (0.3, 0.3)


@pytest.mark.parametrize(("value", "number"), [(0.975, 400), (0.95, 150)])
def test_it_covers_values_near_one_where_a_percentile_bootstrap_does_not(value, number):
    """400 draws of rare wrong answers, of which about 10 are expected; the bootstrap of as few covers less."""
    rng = np.random.default_rng(0)
    draws = (rng.random((600, number)) < value) * 1.0
    draws = draws[((1 - draws).sum(axis=1) >= 4)]
    bounds = np.array([skewness_interval(one, number) for one in draws])
    covered = ((bounds[:, 0] <= value) & (value <= bounds[:, 1])).mean()
    booted = np.array([bootstrap_interval(one, 200, seed) for seed, one in enumerate(draws[:300])])
    percentile = ((booted[:, 0] <= value) & (value <= booted[:, 1])).mean()
    assert covered >= 0.93
    assert covered > percentile


def test_a_bootstrap_is_that_of_the_mean():
    """Standard error .1: bounds about 1.96 of it away, and the same for the same seed."""
    values = np.tile([-1.0, 1.0], 50)
    low, high = bootstrap_interval(values)
    assert (low, high) == pytest.approx((-0.196, 0.196), abs=0.02)
    uneven = np.random.default_rng(0).normal(size=50)
    assert bootstrap_interval(uneven) == bootstrap_interval(uneven)
    assert bootstrap_interval(uneven, seed=1) != bootstrap_interval(uneven)


def test_a_bootstrap_in_parts_is_that_in_one():
    """What is held in memory at a time changes nothing."""
    values = np.random.default_rng(3).normal(size=20)
    drawn = np.random.default_rng(5).integers(0, 20, (1234, 20))
    expected = np.percentile(values[drawn].mean(axis=1), (2.5, 97.5))
    assert bootstrap_interval(values, 1234, seed=5) == pytest.approx(tuple(expected))


def test_a_bernstein_bound_by_hand():
    """100 weights of 1 and qualities of 1: nothing varies, so the smallest c, 1, is best: 1 - 7 ln(560) / 297."""
    ones = np.ones(100)
    low, high = bernstein_interval(ones, ones)
    assert low == pytest.approx(1 - 7 * np.log(2 * 7 / 0.025) / (3 * 99))
    assert high == 1.0


def test_a_bernstein_bound_of_values_that_vary_by_hand():
    """1000 weights of 1, half of the answers right: the sample variance is 250 / 999."""
    log = np.log(2 * 7 / 0.025)
    slack = np.sqrt(2 * (250 / 999) * log / 1000) + 7 * log / (3 * 999)
    low, high = bernstein_interval(np.ones(1000), np.tile([0.0, 1.0], 500))
    assert (low, high) == pytest.approx((0.5 - slack, 0.5 + slack), rel=1e-9)


def test_a_bernstein_interval_covers_more_often_than_it_says():
    """Weights of 0 and 5 of which every fifth is above 0, wrong answers of a tenth: 500 logs of 300 episodes."""
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(500):
        weight = 5.0 * (rng.random(300) < 0.2)
        low, high = bernstein_interval(weight, (rng.random(300) < 0.9) * 1.0)
        covered.append(low <= 0.9 <= high)
    assert np.mean(covered) >= 0.95
