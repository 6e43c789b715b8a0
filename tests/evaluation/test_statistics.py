"""Intervals and tests on numbers whose answer is known."""

import numpy as np
import pytest

from hierrouter_jax.evaluation.intervals import (
    holm,
    interquartile_mean_interval,
    mean_interval,
    paired_difference,
    proportion_interval,
)


def test_holm_by_hand():
    """Sorted .01, .02, .04 times 3, 2, 1 and made monotone: .03, .04, .04."""
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_clopper_pearson_of_no_failures_is_the_closed_form():
    """0 of 30: upper bound 1 - .025^(1/30)."""
    low, high = proportion_interval(0, 30)
    assert (low, high) == pytest.approx((0.0, 1 - 0.025 ** (1 / 30)))


def test_a_bootstrap_interval_is_near_the_normal_one():
    values = np.repeat([0.0, 1.0], [240, 360])
    low, high = mean_interval(values)
    half = 1.96 * np.sqrt(0.6 * 0.4 / 600)
    assert (low, high) == pytest.approx((0.6 - half, 0.6 + half), abs=0.006)


def test_constant_values_have_an_interval_without_width():
    assert mean_interval(np.ones(5)) == (1.0, 1.0)
    assert interquartile_mean_interval(np.full(4, 0.5)) == (0.5, 0.5, 0.5)


def test_a_difference_is_paired():
    """Two noisy policies that differ by .1 on every query: no doubt about the difference, for all the noise."""
    noise = np.random.default_rng(0).random(200)
    difference = paired_difference(noise + np.where(np.arange(200) % 2, 0.11, 0.09), noise)
    assert difference.value == pytest.approx(0.1)
    assert difference.interval[0] > 0.095
    assert difference.p_value < 0.01


def test_no_difference_is_not_significant():
    values = np.random.default_rng(1).normal(size=(2, 300))
    assert paired_difference(values[0], values[1]).p_value > 0.05
    assert paired_difference(values[0], values[0]).p_value == 1.0


def test_the_interquartile_mean_drops_a_quarter_at_each_end():
    """0, 1, 2, 100 without its ends: 1.5."""
    assert interquartile_mean_interval(np.array([0.0, 1.0, 2.0, 100.0]))[0] == pytest.approx(1.5)
