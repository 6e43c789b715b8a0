"""Points of the cost-accuracy plane: the front, and what shares a label."""

from matplotlib.figure import Figure

from hierrouter_jax.report.figures.plane import board_figure, by_point, cost_axis, front_points, place_labels
from tests.report.pages.test_leaderboard import board


def test_the_front_is_what_nothing_beats_for_less():
    assert front_points([(3, 0.5), (1, 0.2), (2, 0.5), (2, 0.4), (4, 0.9)]) == [(1, 0.2), (2, 0.5), (4, 0.9)]


def test_rows_of_one_point_share_its_label():
    rows = [{"name": name, "cost": cost, "accuracy": 0.5} for name, cost in (("a", 2.0), ("b", 4.0), ("c", 2.0001))]
    points = by_point(rows, 2.0)
    assert {at: [row["name"] for row in some] for at, some in points.items()} == {
        (1.0, 0.5): ["a", "c"],
        (2.0, 0.5): ["b"],
    }
    assert len(by_point(rows, 2.0, (5, 5))) == 3


def test_costs_that_span_more_than_ten_are_on_a_logarithmic_axis():
    axes = Figure().subplots(1, 2)
    cost_axis(axes[0], [1.0, 11.0])
    cost_axis(axes[1], [1.0, 9.0])
    assert [one.get_xscale() for one in axes] == ["log", "linear"]
    assert axes[1].get_xlim() == (0, 1.12 * 9.0)


def test_the_points_of_a_line_are_inside_the_plane():
    """Ours costs 3 and is right in 80 % at the first cost weight; at the last it costs 30, and is right in 15 %."""
    rows = board()
    rows["policies"][0]["points"].append({"cost": 30.0, "accuracy": 0.15})
    (axes,) = board_figure(rows, (650, 350)).axes
    (low, high), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert low < 2.0 / 2.0  # in units of the cheapest model, which costs 2
    assert high > 30.0 / 2.0
    assert bottom < 0.15 < 0.9 < top


def test_labels_of_near_points_do_not_overlap():
    axes = Figure(figsize=(5, 4)).subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    place_labels(axes, [(0.5, 0.5), (0.51, 0.5)], ["one name", "another"], ["bold", "normal"])
    one, other = (text.get_window_extent() for text in axes.texts)
    assert not one.overlaps(other)
