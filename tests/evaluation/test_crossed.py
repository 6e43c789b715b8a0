"""Crossed means: numbers by hand, laws, and how often intervals cover and p-values err where the truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hierrouter_jax.evaluation.crossed import crossed_mean, incomplete_mean, linearised
from tests.false_claims import draws


def half_width(value: np.ndarray, alpha: float) -> float:
    """The formula of the module, written out for one array [S, Q]."""
    seeds, queries = value.shape
    by_seed, by_query = value.mean(axis=1), value.mean(axis=0)
    left = value - by_seed[:, None] - by_query + value.mean()
    ms_seeds, ms_queries = queries * by_seed.var(ddof=1), seeds * by_query.var(ddof=1)
    ms_left = (left**2).sum() / ((seeds - 1) * (queries - 1))
    parts = max(ms_seeds, ms_left), max(ms_queries - ms_left, 0)
    quantiles = stats.t.isf(alpha / 2, [seeds - 1, queries - 1])
    return float(np.sqrt((quantiles**2 * parts).sum() / (seeds * queries)))


def test_a_crossed_mean_by_hand():
    """Rows 0 0 4 and 2 4 8, means 4 / 3 and 14 / 3; columns' means 1, 2 and 6; mean 3.

    MS_s = 3 (25 / 9 + 25 / 9) = 50 / 3, MS_q = 2 (4 + 1 + 9) / 2 = 14. Residuals 2 / 3, -1 / 3, -1 / 3 and their
    negatives: 12 / 9 over 2 degrees of freedom, MS_e = 2 / 3. So V_s = 50 / 18 and V_q = (14 - 2 / 3) / 6 = 20 / 9;
    t is 12.7062 at one degree of freedom and 4.30265 at two.
    """
    mean = crossed_mean(np.array([[0.0, 0.0, 4.0], [2.0, 4.0, 8.0]]))
    width = np.sqrt(12.7062**2 * 50 / 18 + 4.30265**2 * 20 / 9)
    assert float(mean.value) == pytest.approx(3.0)
    assert (float(mean.low), float(mean.high)) == pytest.approx((3 - width, 3 + width), rel=1e-4)


@given(st.integers(2, 5), st.integers(3, 9), st.floats(-2, 2), st.integers(0, 10_000))
def test_the_half_width_at_the_p_value_is_the_mean(seeds, queries, shift, seed):
    values = np.random.default_rng(seed).normal(size=(seeds, queries)) + shift
    mean = crossed_mean(values)
    least = 2.0 ** (1 - queries)
    if mean.p_value > least:
        assert half_width(values, float(mean.p_value)) == pytest.approx(abs(values.mean()), rel=1e-6)
    else:
        assert half_width(values, least) <= abs(values.mean()) * (1 + 1e-6)
    assert (mean.p_value < 0.05) == (mean.low > 0 or mean.high < 0)


def test_one_seed_is_the_t_test_over_queries():
    values = np.random.default_rng(0).normal(0.2, 1, size=40)
    ours, test = crossed_mean(values[None]), stats.ttest_1samp(values, 0)
    assert float(ours.p_value) == pytest.approx(test.pvalue)
    assert (ours.low, ours.high) == pytest.approx(tuple(test.confidence_interval()))


@pytest.mark.parametrize(("queries", "p"), [(1, 1.0), (4, 0.125), (6, 2**-5)])
def test_a_constant_difference_has_the_p_value_of_its_signs(queries, p):
    """Of 2^n patterns of signs two are as far from 0; below six queries 0 cannot be excluded."""
    mean = crossed_mean(np.full((1, queries), 0.5))
    assert float(mean.p_value) == pytest.approx(p)
    assert float(mean.low) == (0.0 if p >= 0.05 else 0.5)


def test_queries_on_which_nothing_differs_do_not_lower_the_bound():
    """Five of 500 queries, all the same way: p = 2 / 32, where t alone would say .025."""
    values = np.zeros((1, 500))
    values[0, :5] = 1.0
    mean = crossed_mean(values)
    assert float(mean.p_value) == pytest.approx(2 / 32)
    assert mean.low <= 0


def test_no_difference_at_all():
    mean = crossed_mean(np.zeros((3, 20)))
    assert (mean.value, mean.low, mean.high, mean.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_duplicates_are_one_query():
    values = np.random.default_rng(1).normal(0.3, 1, size=(3, 25))
    single, twice = crossed_mean(values), crossed_mean(np.repeat(values, 2, axis=1), np.repeat(np.arange(25), 2))
    assert [float(one) for one in twice] == pytest.approx([float(one) for one in single])


def test_clusters_of_different_size_keep_the_mean():
    values, cluster = np.random.default_rng(2).normal(size=(3, 10)), np.array([7, 7, 7, 1, 1, 0, 2, 3, 4, 5])
    assert float(crossed_mean(values, cluster).value) == pytest.approx(values.mean())
    everything = np.ones(values.shape, bool)
    incomplete, crossed = incomplete_mean(values, everything, cluster), crossed_mean(values, cluster)
    assert [float(one) for one in incomplete] == pytest.approx([float(one) for one in crossed])


def test_many_at_once_are_each_alone():
    values = np.random.default_rng(4).normal(size=(2, 3, 4, 12))
    together = crossed_mean(values)
    alone = crossed_mean(values[1, 2])
    assert [float(one[1, 2]) for one in together] == pytest.approx([float(one) for one in alone])


@given(st.integers(2, 4), st.integers(3, 12), st.integers(0, 10_000))
def test_where_every_split_tests_every_query_the_two_are_one(splits, queries, seed):
    values = np.random.default_rng(seed).normal(0.4, 1, size=(splits, queries))
    ours = incomplete_mean(values, np.ones((splits, queries), bool), np.arange(queries))
    assert [float(one) for one in ours] == pytest.approx([float(one) for one in crossed_mean(values)], rel=1e-6)


def test_cross_validation_is_the_t_test_over_folds():
    """Four folds of five queries, none tested twice, that differ by more than chance."""
    tested = np.repeat(np.eye(4, dtype=bool), 5, axis=1)
    values = np.random.default_rng(0).normal(size=(1, 20)) + np.repeat([0.0, 3.0, 6.0, 9.0], 5)
    ours = incomplete_mean(np.repeat(values, 4, axis=0), tested, np.arange(20))
    test = stats.ttest_1samp(values.reshape(4, 5).mean(axis=1), 0)
    assert float(ours.p_value) == pytest.approx(test.pvalue)


def test_folds_that_differ_by_less_than_chance_have_the_spread_within_them():
    """Folds of 0, 4, 2 and 1, 3, 2: both means are 2. Within them 10 over 6 - 2 degrees and 6 queries: 10 / 24."""
    tested = np.repeat(np.eye(2, dtype=bool), 3, axis=1)
    mean = incomplete_mean(np.array([[0.0, 4.0, 2.0] * 2, [1.0, 3.0, 2.0] * 2]), tested, np.arange(6))
    width = 12.7062 * np.sqrt(10 / 24)
    assert (float(mean.value), float(mean.low), float(mean.high)) == pytest.approx((2, 2 - width, 2 + width), rel=1e-4)


def test_one_split_is_the_t_test_over_the_queries_that_it_tests():
    tested = np.arange(50)[None] % 2 == 0
    values = np.random.default_rng(11).normal(0.3, 1, size=(1, 50))
    ours, test = incomplete_mean(values, tested, np.arange(50)), stats.ttest_1samp(values[tested], 0)
    assert float(ours.p_value) == pytest.approx(test.pvalue)
    assert (float(ours.low), float(ours.high)) == pytest.approx(tuple(test.confidence_interval()))


def test_what_is_not_tested_does_not_matter():
    rng = np.random.default_rng(5)
    tested = rng.random((4, 30)) < 0.5
    values, cluster = rng.normal(size=(4, 30)), np.arange(30) // 2
    other = np.where(tested, values, 100.0)
    assert incomplete_mean(values, tested, cluster) == incomplete_mean(other, tested, cluster)


def test_a_cluster_of_which_each_split_tests_one_query_is_one_query():
    rng = np.random.default_rng(4)
    values, second = rng.random((4, 30)), rng.random((4, 30)) < 0.5
    tested = np.stack([~second, second], axis=2).reshape(4, 60)
    ours = incomplete_mean(np.repeat(values, 2, axis=1), tested, np.repeat(np.arange(30), 2))
    one = incomplete_mean(values, np.ones((4, 30), bool), np.arange(30))
    np.testing.assert_allclose([ours.value, ours.p_value], [one.value, one.p_value])


def test_the_mean_square_of_queries_that_few_splits_share_is_right():
    """Queries differ, splits do not: the variance of the mean is about that of 300 queries, not of 150 in each of 8."""
    rng = np.random.default_rng(6)
    tested = rng.random((8, 300)) < 0.5
    query = rng.normal(size=300)
    mean = incomplete_mean(np.broadcast_to(query, (8, 300)), tested, np.arange(300))
    share = (tested / tested.sum(axis=1, keepdims=True)).mean(axis=0)
    assert float(mean.high - mean.low) / 2 == pytest.approx(1.968 * query.std() * np.sqrt((share**2).sum()), rel=0.05)


def test_a_linear_statistic_adds_up_exactly():
    values = np.random.default_rng(7).random((2, 3, 8))
    ours = linearised(lambda means: means[..., 0] - 2 * means[..., 1], values)
    assert ours == pytest.approx(values[0] - 2 * values[1])


def test_a_product_is_linearised_by_the_product_rule():
    """x y adds mean(x) mean(y) + (x - mean(x)) mean(y) + mean(x) (y - mean(y)); central differences are exact here."""
    x, y = np.random.default_rng(8).random((2, 3, 8))
    ours = linearised(lambda means: means[..., 0] * means[..., 1], np.stack([x, y]))
    assert ours == pytest.approx(x.mean() * y.mean() + (x - x.mean()) * y.mean() + x.mean() * (y - y.mean()))


def test_a_statistic_of_what_does_not_vary_adds_up_too():
    """Nothing to step by, so the slope is taken over a millionth of the mean, and over more than nothing at 0."""
    for value in (0.0, 3.0, 2e-9):
        assert linearised(lambda means: 2 * means[..., 0], np.full((1, 2, 3), value)) == pytest.approx(2 * value)


def test_a_slope_is_taken_over_one_standard_error_to_either_side():
    """Seeds 1 and 5, queries 2 and 4: mean 3, variance of it 8 / 2 and 2 / 2, so m^3 has the slope 3 m^2 + 5 = 32."""
    ours = linearised(lambda means: means[..., 0] ** 3, np.array([[[0.0, 2.0], [4.0, 6.0]]]))
    assert ours == pytest.approx(np.array([[27 - 96, 27 - 32], [27 + 32, 27 + 96]]))


@pytest.mark.parametrize(("seeds", "spread"), [(3, 0.0), (3, 1.0), (3, 4.0), (5, 0.5), (10, 0.5)])
def test_intervals_cover_and_tests_err_as_they_say(seeds, spread):
    """2,000 means of 0: 95 % covered but for three standard errors, .015; seeds that dominate at S = 3 included."""
    mean = crossed_mean(draws(np.random.default_rng(9), 2000, seeds, 60, spread))
    assert ((mean.low <= 0) & (mean.high >= 0)).mean() >= 0.935
    assert (mean.p_value < 0.01).mean() <= 0.0167


@pytest.mark.parametrize(("splits", "share"), [(5, 0.5), (10, 0.2), (5, None)])
def test_intervals_over_splits_cover(splits, share):
    """Random splits that test a share of the queries, and five folds."""
    rng, covered, count = np.random.default_rng(10), 0, 400
    for values in draws(rng, count, splits, 60, 0.3):
        tested = (
            np.arange(60) % splits == np.arange(splits)[:, None] if share is None else rng.random((splits, 60)) < share
        )
        mean = incomplete_mean(values, tested, np.arange(60))
        covered += bool(mean.low <= 0 <= mean.high)
    assert covered / count >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / count)
