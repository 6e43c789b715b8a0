"""Paired comparisons over seeds and queries: numbers by hand, and laws."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.evaluation.intervals import percentile_interval
from hierrouter_jax.evaluation.paired import (
    Difference,
    Repeats,
    Resamples,
    Verdict,
    crossed_means,
    crossed_resamples,
    flipped_means,
    holm,
    paired_difference,
    permutation_p,
    resampled_difference,
    verdicts,
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
    verdict = Verdict((low + high) / 2, (low, high), p, p_holm=p)
    assert verdict.word == said
    assert verdict.counts == (said in ("better", "worse"))


def test_a_family_is_corrected_together():
    """Three intervals without 0 and p-values .01, .02, .04: Holm's .03, .04, .04; .01 and .02 alone would be .02."""
    family = [Difference(0.1, (0.05, 0.15), p) for p in (0.01, 0.02, 0.04)]
    assert [one.p_holm for one in verdicts(family)] == pytest.approx([0.03, 0.04, 0.04])
    assert [one.p_holm for one in verdicts(family[:2])] == pytest.approx([0.02, 0.02])
    assert verdicts(family[:1]) == [Verdict(0.1, (0.05, 0.15), 0.01, p_holm=0.01)]
    wider = [*family, *(Difference(0.1, (0.05, 0.15), 0.9) for _ in range(3))]  # .01 times 6, and so on
    assert [one.word for one in verdicts(wider)] == ["tied"] * 6
    assert verdicts([]) == []


def test_a_difference_of_any_statistic_by_hand():
    """Resamples 0 to 100: the interval is 2.5 to 97.5; of 9 permuted values 2 are as far from 0 as -3."""
    difference = resampled_difference(-3.0, np.arange(101.0), np.array([-4.0, 3.0, 2, 1, 0, 0, -1, -2, 2]))
    assert difference == Difference(-3.0, (2.5, 97.5), (1 + 2) / (1 + 9))


def share_of_families(lead: float, families: int = 200, pairs: int = 8, queries: int = 60) -> float:
    """Share of families of independent pairs in which any difference counts; `lead` is each first policy's true one."""
    rng, count = np.random.default_rng(11), 0
    drawn = crossed_resamples(1, queries, count=400)
    for seed in range(families):
        first, second = rng.random((2, pairs, queries))
        differences = (first < 0.6 + lead).astype(float) - (second < 0.6)
        resampled = crossed_means(differences[:, None], drawn)
        permuted = flipped_means(differences, 399, seed)
        family = [
            resampled_difference(one.mean(), resampled[at], permuted[:, at]) for at, one in enumerate(differences)
        ]
        count += any(verdict.counts for verdict in verdicts(family))
    return count / families


def test_of_policies_that_are_alike_any_differs_in_one_family_of_twenty_at_most():
    """Eight pairs of equally good policies: .05, and three standard errors of 200 families, .046."""
    assert share_of_families(0.0) <= 0.096


def test_a_policy_that_is_far_better_is_seen_to_be():
    assert share_of_families(0.35) >= 0.95


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


def test_holm_by_hand():
    """Sorted .01, .02, .04 times 3, 2, 1 and made monotone: .03, .04, .04."""
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


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


@pytest.mark.parametrize(("queries", "p"), [(1, 1.0), (4, 0.125), (8, 2 / 256), (200, 2 / 10_000)])
def test_the_same_difference_on_every_query_has_the_exact_p_of_its_signs(queries, p):
    """Of 2^n patterns of signs two are as far from 0: all kept and all turned; of many, 9,999 are drawn."""
    difference = paired_difference(np.ones(queries), np.full(queries, 0.75))
    assert difference.value == 0.25
    assert difference.interval == (0.25, 0.25)
    assert difference.p_value == pytest.approx(p)


# Which of four queries each of two splits tests.
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
