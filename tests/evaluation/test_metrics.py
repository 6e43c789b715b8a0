"""The field's metrics, fronts and areas on examples worked by hand; laws; and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import ConvexHull

from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation import metrics
from hierrouter_jax.evaluation.metrics import (
    apgr,
    average_quality,
    cost_saving,
    cpt,
    gain,
    hull,
    hypervolume,
    oracle_gap_recovered,
    pareto_front,
    threshold_curve,
)

# Ten queries, the strong model right on eight and the weak one on four; the score wants it where it helps first.
SCORE = np.array([9, 8, 7, 6, 5, 4, 3, 2, 1, 0.0])
STRONG = np.array([1, 1, 1, 1, 1, 1, 1, 1, 0, 0.0])
WEAK = np.array([0, 0, 0, 0, 1, 1, 1, 0, 1, 0.0])


def test_a_gain_and_a_gap_by_hand():
    """.7 above .6 is 10 points, a quarter of the way from .6 to the oracle's 1."""
    assert gain(np.array(0.7), np.array(0.6)) == pytest.approx(0.1)
    assert oracle_gap_recovered(np.array(0.7), np.array(0.6), np.array(1.0)) == pytest.approx(0.25)
    several = oracle_gap_recovered(np.array([0.7, 0.7]), np.array([0.6, 0.9]), np.array([1.0, 0.9]))
    assert several[0] == pytest.approx(0.25)
    assert np.isnan(several[1])


def test_a_cost_saving_by_hand():
    """From (1, .4) to (3, .8) a coin reaches .7 at 2.5; the best single model pays 10 for it: a saving of 75 %."""
    cost, quality = np.array([1.0, 3.0, 8.0]), np.array([0.4, 0.8, 0.6])
    assert cost_saving(cost, quality, np.array(10.0), np.array(0.7)) == pytest.approx(0.75)
    assert cost_saving(cost, quality, np.array(10.0), np.array(0.3)) == pytest.approx(0.9)
    assert np.isnan(cost_saving(cost, quality, np.array(10.0), np.array(0.9)))
    assert cost_saving(cost[1:2], quality[1:2], np.array(2.0), np.array(0.8)) == pytest.approx(-0.5)
    several = cost_saving(np.stack([cost, 2 * cost]), np.stack([quality] * 2), np.full(2, 10.0), np.array([0.7, 0.7]))
    assert several == pytest.approx([0.75, 0.5])


def test_a_threshold_curve_by_hand():
    share, quality = threshold_curve(SCORE, WEAK, STRONG)
    assert share == pytest.approx(np.arange(11) / 10)
    assert quality == pytest.approx([0.4, 0.5, 0.6, 0.7, 0.8, 0.8, 0.8, 0.8, 0.9, 0.8, 0.8])


def test_apgr_and_cpt_by_hand():
    """PGR at 0..100 %: 0, 1/4, 1/2, 3/4, 1, 1, 1, 1, 5/4, 1, 1. Half the gap needs 20 % of calls, 80 % of it 32 %."""
    curve = threshold_curve(SCORE, WEAK, STRONG)
    assert apgr(*curve, 0.4, 0.8) == pytest.approx(8.25 / 10)
    assert cpt(*curve, 0.4, 0.8, 50) == pytest.approx(0.2)
    assert cpt(*curve, 0.4, 0.8, 80) == pytest.approx(0.32)


def test_a_setting_that_another_beats_does_not_count_in_cpt():
    """From (.2, .5) to (.6, .8) half the way has .65, at .4; (.4, .3) costs more than the first and is worse."""
    share, quality = np.array([0.2, 0.4, 0.6]), np.array([0.5, 0.3, 0.8])
    assert cpt(share, quality, 0.0, 1.0, 65) == pytest.approx(0.4)
    assert cpt(share[[0, 2]], quality[[0, 2]], 0.0, 1.0, 65) == pytest.approx(0.4)


def test_a_coin_recovers_half_the_gap_on_average():
    """Linear from (0, weak) to (1, strong): an area of 1/2, with points on the way or without; x % for x % of calls."""
    nothing = np.empty(0)
    assert apgr(nothing, nothing, 0.2, 0.6) == pytest.approx(0.5)
    assert apgr(np.array([0.3, 0.9]), np.array([0.32, 0.56]), 0.2, 0.6) == pytest.approx(0.5)
    assert cpt(nothing, nothing, 0.2, 0.6, 80) == pytest.approx(0.8)


def test_a_gap_or_a_percentage_that_is_none_is_refused():
    with pytest.raises(InputError, match="better than the weak one"):
        apgr(np.array([0.5]), np.array([0.5]), 0.6, 0.5)
    for percent in (-5, 0, 101):
        with pytest.raises(InputError, match="above 0 and up to 100"):
            cpt(np.array([0.5]), np.array([0.5]), 0.5, 0.6, percent)


@given(arrays(float, (2, 4), elements=st.floats(0.01, 0.99).map(lambda value: round(value, 3))))
def test_a_cheaper_router_never_saves_less(points):
    cost, quality = points
    single = np.array(0.5), np.array(0.5)
    saved, cheaper = (cost_saving(scale * cost, quality, *single) for scale in (1.0, 0.5))
    assert np.isnan(saved) == np.isnan(cheaper)
    assert np.isnan(saved) or cheaper >= saved


COST, QUALITY = np.array([1.0, 2.0, 4.0, 3.0]), np.array([0.2, 0.6, 0.8, 0.5])
REFERENCE = 5.0


def test_a_front_by_hand():
    assert pareto_front(COST, QUALITY).tolist() == [0, 1, 2]
    assert pareto_front(np.array([2.0, 1.0, 1.0]), np.array([0.5, 0.5, 0.5])).tolist() == [1]


def test_a_hypervolume_by_hand():
    """Best quality 0 up to cost 1, .2 up to 2, .6 up to 4, .8 up to 5: (.2 + 1.2 + .8) / 5."""
    assert hypervolume(COST, QUALITY, REFERENCE) == pytest.approx(2.2 / 5)
    assert hypervolume(np.array([6.0]), np.array([1.0]), REFERENCE) == 0


def test_where_nothing_costs_anything_the_best_point_counts():
    """Of free points the area up to r > 0 is .8 r, and the hull is .8 throughout; so it is at r = 0."""
    cost, quality = np.zeros((2, 3)), np.array([[0.5, 0.8, 0.2], [0.1, 0.0, 0.3]])
    for reference in (1.0, 1e-9, 0.0):
        assert hypervolume(cost, quality, reference) == pytest.approx([0.8, 0.3])
        assert average_quality(cost, quality, 0.0, reference) == pytest.approx([0.8, 0.3])
    assert hypervolume(np.array([0.0, 1.0]), np.array([0.4, 0.9]), 0.0) == 0.4  # what costs is beyond the reference


def test_where_everything_costs_the_same_the_hulls_height_counts():
    """At cost 2 the better of .5 and .8; just above it the trapezoid has that height, too."""
    cost, quality = np.array([2.0, 2.0]), np.array([0.5, 0.8])
    assert average_quality(cost, quality, 2.0, 2.0) == pytest.approx(0.8)
    assert average_quality(cost, quality, 2.0, 2.0 + 1e-6) == pytest.approx(0.8)
    assert average_quality(COST, QUALITY, 3.0, 3.0) == pytest.approx(0.7)  # halfway from (2, .6) to (4, .8)


def test_a_hull_by_hand():
    """From (0, 0) straight to (2, .6): (1, .2) lies below. Then to (4, .8), and flat."""
    at = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 9.0])
    assert hull(COST, QUALITY, at) == pytest.approx([0, 0.3, 0.6, 0.7, 0.8, 0.8])


def test_an_average_quality_by_hand():
    """Trapezoids from 1 to 5: .45 + .65 + .75 + .8, over 4."""
    assert average_quality(COST, QUALITY, 1.0, 5.0) == pytest.approx(2.65 / 4)
    assert average_quality(COST, QUALITY, 2.5, 3.5) == pytest.approx(0.7)


def test_leading_axes_are_so_many_fronts():
    rng = np.random.default_rng(0)
    cost, quality = rng.random((2, 3, 50, 4))
    at = rng.random((3, 50, 2))
    for one in ((0, 0), (2, 49)):
        assert hypervolume(cost, quality, 0.9)[one] == pytest.approx(hypervolume(cost[one], quality[one], 0.9))
        assert hull(cost, quality, at)[one] == pytest.approx(hull(cost[one], quality[one], at[one]))
        assert average_quality(cost, quality, 0.1, 0.9)[one] == pytest.approx(
            average_quality(cost[one], quality[one], 0.1, 0.9)
        )


def test_a_hull_of_more_points_than_are_held_at_once_is_the_same(monkeypatch):
    cost, quality = np.random.default_rng(0).random((2, 7, 4))
    at = np.array([[0.2, 0.9]])
    whole = hull(cost, quality, at)
    monkeypatch.setattr(metrics, "_AT_ONCE", 1)  # less than one row takes
    np.testing.assert_array_equal(hull(cost, quality, at), whole)


def points(count=5):
    return arrays(float, (2, count), elements=st.floats(0.01, 1).map(lambda value: round(value, 3)))


@given(points(), points(1))
def test_another_point_never_makes_a_front_smaller(front, point):
    more = np.concatenate([front, point], axis=1)
    assert hypervolume(*more, 1.0) >= hypervolume(*front, 1.0) - 1e-12
    assert average_quality(*more, 0.1, 0.9) >= average_quality(*front, 0.1, 0.9) - 1e-12
    if any((front[0] <= point[0]) & (front[1] >= point[1])):  # a dominated one changes nothing
        assert hypervolume(*more, 1.0) == pytest.approx(hypervolume(*front, 1.0))


@given(points(), points(1))
def test_a_setting_that_another_beats_changes_no_cpt(front, point):
    more = np.concatenate([front, point], axis=1)
    if any((front[0] <= point[0]) & (front[1] >= point[1])):
        assert cpt(*more, 0.0, 1.0, 65) == pytest.approx(cpt(*front, 0.0, 1.0, 65))


@given(points())
def test_a_hypervolume_is_that_of_the_front_alone(front):
    efficient = front[:, pareto_front(*front)]
    assert hypervolume(*efficient, 1.0) == pytest.approx(hypervolume(*front, 1.0))
    assert average_quality(*efficient, 0.0, 1.0) == pytest.approx(average_quality(*front, 0.0, 1.0))


@given(points())
def test_an_average_quality_is_the_area_of_the_convex_hull(front):
    """With the corners (0, 0), (1, best quality) and (1, 0) the hull is a polygon, whose area qhull knows."""
    corners = [[0.0, 0.0], [1.0, front[1].max()], [1.0, 0.0]]
    polygon = ConvexHull(np.concatenate([front.T, corners]), qhull_options="QJ")
    assert average_quality(*front, 0.0, 1.0) == pytest.approx(polygon.volume, abs=1e-6)
    assert average_quality(*front, 0.0, 1.0) >= hypervolume(*front, 1.0) - 1e-12  # a hull lies above its steps


@given(points(), st.floats(0, 1.2))
def test_a_hull_never_falls_and_is_concave(front, start):
    at = start + np.linspace(0, 0.3, 7)
    values = hull(*front, at)
    assert (np.diff(values) >= -1e-9).all()
    assert (np.diff(values, 2) <= 1e-9).all()
