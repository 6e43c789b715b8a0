"""Figures of a run: what a learning curve shows and is compared with, and a route as a band."""

import pandas as pd
import pytest

from hierrouter_jax.report.data.run import read_run
from hierrouter_jax.report.figures.run import learning_column, learning_figure, references, routes_figure


def test_a_learning_curve_shows_validation_where_it_was_measured():
    frame = pd.DataFrame({"validation_accuracy": [float("nan")], "validation_return": [0.5], "train_return": [0.4]})
    assert learning_column(frame) == "validation_return"
    assert learning_column(frame.assign(validation_accuracy=0.3)) == "validation_accuracy"
    assert learning_column(frame.assign(validation_return=float("nan"))) == "train_return"


def test_a_learner_is_compared_with_its_own_moves(numbers):
    lines = {mark.name: mark.value for mark in references(numbers, "ppo", "validation_accuracy")}
    assert lines["task-sequence"] == 0.6633
    assert "oracle_fixed" in lines
    assert {mark.name for mark in references(numbers, "ppo+stop", "validation_accuracy")} == {
        "task-sequence+stop",
        "oracle_stop",
    }
    assert references(numbers, "ppo", "validation_return") == []


def test_a_panel_is_a_learner_and_its_curve_the_interquartile_mean(run):
    files = read_run(run)
    figure = learning_figure(files, ["ppo", "ppo+stop"], (600, 300))
    assert [axes.get_title("left") or axes.get_title() for axes in figure.axes] == ["ppo", "ppo+stop"]
    thick = [line for line in figure.axes[0].lines if line.get_linewidth() == 2]
    assert len(thick) == 1


def test_a_route_is_a_band_as_high_as_its_share(run):
    files = read_run(run)
    task = files.tasks[0]
    axes = routes_figure(files, [task], (360, 190)).axes[0]
    first = [patch for patch in axes.patches if patch.get_x() == 0]
    assert sum(patch.get_height() for patch in first) == pytest.approx(1, abs=0.011)
