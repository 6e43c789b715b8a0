"""Paired comparisons over seeds and queries: numbers by hand, and laws."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.evaluation.intervals import holm, paired_difference, percentile_interval
from hierrouter_jax.evaluation.paired import (
    Resamples,
    crossed_means,
    crossed_resamples,
    flipped_means,
    permutation_p,
    verdict,
)


def test_a_resampled_mean_by_hand():
    """Seed 1 twice, queries 0, 0 and 2: (3 + 3 + 5) / 3."""
    values = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    drawn = Resamples(np.array([[0.0, 1.0]]), np.array([[2 / 3, 0.0, 1 / 3]]))
    assert crossed_means(values, drawn) == pytest.approx([11 / 3])


def test_with_one_seed_the_crossed_bootstrap_is_the_plain_one():
    values = np.random.default_rng(0).random((1, 40))
    drawn = crossed_resamples(1, 40, count=300)
    assert (drawn.seeds == 1).all()
    times = np.round(drawn.queries * 40).astype(int)
    slow = [np.repeat(values[0], count).mean() for count in times]
    assert crossed_means(values, drawn) == pytest.approx(slow)


def test_weights_add_up_and_all_policies_share_them():
    drawn = crossed_resamples(4, 9, count=50, seed=3)
    assert drawn.seeds.sum(axis=1) == pytest.approx(np.ones(50))
    assert drawn.queries.sum(axis=1) == pytest.approx(np.ones(50))
    values = np.random.default_rng(1).random((2, 3, 4, 9))
    together = crossed_means(values, drawn)
    assert together.shape == (2, 3, 50)
    assert crossed_means(values[1, 2], drawn) == pytest.approx(together[1, 2])
    shifted = crossed_means(values + 0.25, drawn) - together  # a difference on every query and seed has no interval
    assert shifted == pytest.approx(np.full((2, 3, 50), 0.25))


def test_the_crossed_interval_knows_of_seeds_and_of_queries():
    """Variance about sigma_s^2 / S + sigma_q^2 / Q: seeds that differ widen it, and so do queries."""
    rng = np.random.default_rng(2)
    by_seed, by_query = rng.normal(size=(30, 1)), rng.normal(size=(1, 50))
    drawn = crossed_resamples(30, 50, count=4000)
    for values, expected in (
        (by_seed + 0 * by_query, by_seed.var() / 30),
        (0 * by_seed + by_query, by_query.var() / 50),
        (by_seed + by_query, by_seed.var() / 30 + by_query.var() / 50),
    ):
        assert crossed_means(values, drawn).var() == pytest.approx(expected, rel=0.1)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng, covered = np.random.default_rng(5), 0
    drawn = crossed_resamples(10, 60, count=400)
    for _ in range(200):
        values = 0.3 + 0.1 * rng.normal(size=(10, 1)) + rng.normal(size=(1, 60)) + rng.normal(size=(10, 60))
        low, high = percentile_interval(crossed_means(values, drawn))
        covered += low <= 0.3 <= high
    assert 0.9 <= covered / 200 <= 1


def test_a_sign_flip_test_by_hand():
    """Differences 1, 2, 3: of the 8 sign patterns only the two that agree throughout are as far from 0."""
    difference = np.array([1.0, 2.0, 3.0])
    patterns = np.array(list(product([-1.0, 1.0], repeat=3)))
    assert permutation_p(difference.mean(), patterns @ difference / 3) == pytest.approx((1 + 2) / (1 + 8))
    permuted = flipped_means(np.stack([difference, 0 * difference]), count=20_000)
    assert permutation_p(difference.mean(), permuted[:, 0]) == pytest.approx(2 / 8, abs=0.01)
    assert permutation_p(0.0, permuted[:, 1]) == 1.0


def test_the_sign_flip_test_is_scipys():
    difference = np.random.default_rng(7).normal(0.12, 1, size=200)
    ours = permutation_p(difference.mean(), flipped_means(difference[None])[:, 0])
    assert ours == pytest.approx(paired_difference(difference, np.zeros(200)).p_value, abs=0.03)


@pytest.mark.parametrize(
    ("low", "high", "p", "said"),
    [
        (0.01, 0.05, 0.01, "better"),
        (0.01, 0.05, 0.06, "tied"),  # not significant after correction, but no worse by a point
        (-0.05, -0.01, 0.01, "worse"),
        (-0.05, -0.01, 0.2, "undecided"),
        (-0.009, 0.03, 0.3, "tied"),
        (-0.02, 0.03, 0.3, "undecided"),
        (-0.02, 0.03, 0.01, "undecided"),  # an interval with 0 in it
        (0.0, 0.0, 1.0, "tied"),
    ],
)
def test_verdicts_follow_the_rules_of_evaluation(low, high, p, said):
    assert verdict(low, high, p) == said


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.data())
def test_holm_is_monotone(p_values, data):
    """Adjusted values keep the order, are never smaller than raw ones, and do not fall when one p-value rises."""
    adjusted = np.array(holm(p_values))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()
    assert (adjusted >= np.array(p_values) - 1e-12).all()
    which = data.draw(st.integers(0, len(p_values) - 1))
    raised = [*p_values]
    raised[which] = data.draw(st.floats(p_values[which], 1))
    assert (np.array(holm(raised)) >= adjusted - 1e-12).all()
