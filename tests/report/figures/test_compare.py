"""Figures of a comparison: a line an arm, a row a comparison."""

import pytest
from matplotlib.figure import Figure

from hierrouter_jax.report.data.compare import CompareFiles
from hierrouter_jax.report.figures.compare import (
    curves_figure,
    forest_figure,
    front_numbers_figure,
    fronts_figure,
    interval_row,
    label_rows,
    learned_figure,
    with_key,
)
from tests.studies.compare_fixture import ARMS, SMALL, comparison


@pytest.fixture(scope="module")
def files() -> CompareFiles:
    return CompareFiles("rewards", comparison(**SMALL))


def test_a_panel_is_a_cost_weight_and_a_line_an_arm(files):
    figure = curves_figure(files, (600, 300))
    assert [axes.get_title("left") or axes.get_title() for axes in figure.axes] == [
        "cost weight 0.01",
        "cost weight 0.03",
    ]
    assert [len(axes.lines) for axes in figure.axes] == [3, 3]
    drawn = figure.axes[0].lines[0].get_ydata()
    assert list(drawn) == files.compare["arms"][0]["points"][0]["curve"]["validation_accuracy"]["iqm"]
    (legend,) = with_key(figure, files).legends
    assert [text.get_text() for text in legend.get_texts()] == list(ARMS[:3])


def test_behaviour_is_drawn_over_the_cost_weights(files):
    panels = learned_figure(files, (600, 200)).axes
    assert [axes.get_title("left") or axes.get_title() for axes in panels] == [
        "hops",
        "stops early",
        "repaired",
        "damaged",
    ]
    assert list(panels[0].lines[0].get_ydata()) == [2.39, 2.37]


def test_fronts_have_every_arm_beside_the_opponents(files):
    whole, close = fronts_figure(files, (600, 300)).axes
    assert (whole.get_xlabel(), close.get_title("left") or close.get_title()) == (
        "cost of a query, in units of speller",
        "the arms, closer",
    )


def test_the_forest_has_a_row_for_each_comparison_of_its_family(files):
    axes = forest_figure(files, "primary", (600, 300)).axes[0]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == [
        *(f"{arm}: {row}" for arm in ARMS[1:3] for row in ("return, 0.01", "return, 0.03", "hypervolume"))
    ]


def test_a_row_is_a_dot_with_its_interval():
    axes = Figure().subplots()
    interval_row(axes, 1.0, 0.4, (0.3, 0.6), {"color": "black", "marker": "o"})
    line, dot = axes.lines
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([0.3, 0.6], [1.0, 1.0])
    assert (list(dot.get_xdata()), list(dot.get_ydata())) == ([0.4], [1.0])
    label_rows(axes, ["a", "b"])
    assert axes.get_ylim() == (1.6, -0.6)


def test_front_numbers_are_those_of_the_file(files):
    panels = front_numbers_figure(files, (500, 150)).axes
    dots = [line.get_xdata()[0] for line in panels[0].lines if line.get_linestyle() == "None"]
    assert dots == [arm["front"]["hypervolume"]["value"] for arm in files.compare["arms"]]


def test_the_same_comparison_is_drawn_in_the_same_order(files):
    """Opponents are joined in the order of the file, whatever the process's hashes are."""
    whole = fronts_figure(files, (600, 300)).axes[0]
    first = {row["name"]: row["cost"] / files.unit[0] for row in reversed(files.compare["opponents"])}
    joined = [line.get_xdata()[0] for line in whole.lines if line.get_linewidth() == 0.8]
    assert joined == pytest.approx(list(reversed(first.values())))
