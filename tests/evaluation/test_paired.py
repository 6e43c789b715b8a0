"""Paired comparisons over seeds and queries: numbers by hand, and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.evaluation.paired import (
    Difference,
    Repeats,
    Verdict,
    holm,
    paired_difference,
    verdicts,
)


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
        (0.01, 0.05, 0.05, "tied"),  # .05 itself is not below .05
        (-0.01, 0.03, 0.3, "undecided"),  # and a point worse is not above a point worse
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


def share_of_families(lead: float, families: int = 200, pairs: int = 8, queries: int = 60) -> float:
    """Share of families of independent pairs in which any difference counts; `lead` is each first policy's true one."""
    rng, count = np.random.default_rng(11), 0
    for _ in range(families):
        first, second = rng.random((2, pairs, queries))
        family = [paired_difference(*both) for both in zip(first < 0.6 + lead, 1.0 * (second < 0.6), strict=True)]
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
    assert paired_difference(values[0], values[0]) == Difference(0.0, (0.0, 0.0), 1.0)


def test_a_difference_by_hand():
    """Differences 1, 2, 3: mean 2, standard error 1 / sqrt 3; t at two degrees of freedom 4.3027, p of t = 3.4641."""
    difference = paired_difference(np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0]))
    assert difference.value == pytest.approx(2.0)
    assert difference.interval == pytest.approx((2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5), abs=1e-4)
    assert difference.p_value == pytest.approx(2 ** (1 - 3))  # t alone would say .0742; signs can only say 1 / 4


def test_an_opponent_without_seeds_is_the_same_for_every_seed():
    values = np.random.default_rng(3).random((2, 4, 30))
    alike = np.broadcast_to(values[1, 0], (4, 30))
    assert paired_difference(values[0], values[1, 0]) == paired_difference(values[0], alike)
    assert paired_difference(values[1, 0], values[0]).value == pytest.approx(-paired_difference(values[0], alike).value)


@pytest.mark.parametrize(("queries", "p"), [(1, 1.0), (4, 0.125), (8, 2 / 256)])
def test_the_same_difference_on_every_query_has_the_exact_p_of_its_signs(queries, p):
    """Of 2^n patterns of signs two are as far from 0: all kept and all turned."""
    difference = paired_difference(np.ones(queries), np.full(queries, 0.75))
    assert difference.value == 0.25
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
    resampled = Repeats(np.ones((1, 30), bool), np.arange(30), resamples=200, seed=4).resampled(values)
    times = np.random.default_rng(4).multinomial(30, np.full(30, 1 / 30), size=200)
    assert resampled == pytest.approx([np.repeat(values[0], count).mean() for count in times])


def test_leading_axes_are_so_many_resampled_means():
    values = np.random.default_rng(0).random((3, 2, 4))
    repeats = Repeats(TESTED, np.arange(4), resamples=50)
    assert repeats.resampled(values).tolist() == [repeats.resampled(one).tolist() for one in values]


def test_splits_are_redrawn_evenly():
    """Two splits of means 0 and 1: both are drawn once in half of the resamples, either twice in a quarter each."""
    values = np.repeat([[0.0], [1.0]], 6, axis=1)
    resampled = Repeats(np.ones((2, 6), bool), np.arange(6), resamples=2000).resampled(values)
    shares = [(resampled == mean).mean() for mean in (0.0, 0.5, 1.0)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.04)


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


def test_a_difference_over_splits_is_their_mean():
    values = np.random.default_rng(2).random((2, 4))
    repeats = Repeats(TESTED, np.arange(4))
    assert repeats.difference(values).value == pytest.approx(float(repeats.mean(values)))
