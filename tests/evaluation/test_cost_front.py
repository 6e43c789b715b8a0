"""Fronts, hypervolume and AIQ: areas worked by hand, and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import ConvexHull

from hierrouter_jax.evaluation.metrics import average_quality, hull, hypervolume, pareto_front

COST, QUALITY = np.array([1.0, 2.0, 4.0, 3.0]), np.array([0.2, 0.6, 0.8, 0.5])
REFERENCE = 5.0


def test_a_front_by_hand():
    assert pareto_front(COST, QUALITY).tolist() == [0, 1, 2]
    assert pareto_front(np.array([2.0, 1.0, 1.0]), np.array([0.5, 0.5, 0.5])).tolist() == [1]


def test_a_hypervolume_by_hand():
    """Best quality 0 up to cost 1, .2 up to 2, .6 up to 4, .8 up to 5: (.2 + 1.2 + .8) / 5."""
    assert hypervolume(COST, QUALITY, REFERENCE) == pytest.approx(2.2 / 5)
    assert hypervolume(np.array([6.0]), np.array([1.0]), REFERENCE) == 0


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


def points(count=5):
    return arrays(float, (2, count), elements=st.floats(0.01, 1).map(lambda value: round(value, 3)))


@given(points(), points(1))
def test_another_point_never_makes_a_front_smaller(front, point):
    more = np.concatenate([front, point], axis=1)
    assert hypervolume(*more, 1.0) >= hypervolume(*front, 1.0) - 1e-12
    assert average_quality(*more, 0.1, 0.9) >= average_quality(*front, 0.1, 0.9) - 1e-12
    if any((front[0] <= point[0]) & (front[1] >= point[1])):  # a dominated one changes nothing
        assert hypervolume(*more, 1.0) == pytest.approx(hypervolume(*front, 1.0))


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
