"""Learning curves, with what a trainer watches beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter
from scipy.stats import trim_mean

from hierrouter_jax.report import formats
from hierrouter_jax.report.data.run import RunFiles
from hierrouter_jax.report.figures.palette import COLOUR, ON_A_LINE, canvas

_DIAGNOSTICS = {
    "train_return": "training return",
    "entropy": "entropy",
    "policy_loss": "policy loss",
    "value_loss": "value loss",
    "approx_kl": "approximate KL",
    "clip_fraction": "clipped fraction",
}


@dataclass(frozen=True)
class Reference:
    """A horizontal line to compare a learning curve with."""

    name: str
    value: float


def learning_column(metrics: pd.DataFrame) -> str:
    """What the learning curves show: validation accuracy where it was measured."""
    wished = ("validation_accuracy", "validation_return")
    return next((column for column in wished if _measured(metrics, column)), "train_return")


def references(evaluation: dict[str, Any], learner: str, column: str) -> list[Reference]:
    """The opponent and the oracle of a learner's own action set; none for returns, which have other units."""
    if column != "validation_accuracy":
        return []
    stop = learner.endswith("+stop")
    wanted = ("task-sequence+stop", "oracle_stop") if stop else ("task-sequence", "oracle_fixed")
    known = {row["name"]: row["accuracy"] for row in formats.oracles(evaluation) + evaluation["policies"]}
    return [Reference(name, known[name]) for name in wanted if name in known]


def learning_figure(run: RunFiles, learners: Sequence[str], size: tuple[float, float]) -> Figure:
    """Interquartile mean over seeds, the band of the middle half, every seed as a thin line; one panel a learner."""
    column = learning_column(run.metrics)
    width = min(len(learners), 3)
    figure, panels = _panels(size, ceil(len(learners) / width), width, sharey=True)
    for axes in panels.flat[len(learners) :]:
        axes.set_visible(False)
    for axes, learner in zip(panels.flat, learners, strict=False):
        frame = run.metrics.query("learner == @learner")
        _seed_lines(axes, frame, column)
        _curve(axes, frame, column)
        axes.set_title(learner, fontweight="bold")
        axes.set_xlabel("environment steps")
        last = frame.dropna(subset=column).query("env_steps == env_steps.max()")
        _reference_lines(axes, references(run.evaluation, learner, column), float(np.mean(last[column])))
    panels.flat[0].set_ylim(*_limits(run, column))
    for axes in panels[:, 0]:
        axes.set_ylabel(column.replace("_", " "))
    if column == "validation_accuracy":
        panels.flat[0].yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    return figure


def _limits(run: RunFiles, column: str) -> tuple[float, float]:
    """One scale for every learner, however many figures they are drawn in."""
    lines = [
        line.value for name in run.metrics["learner"].unique() for line in references(run.evaluation, name, column)
    ]
    low, high = min([run.metrics[column].min(), *lines]), max([run.metrics[column].max(), *lines])
    margin = max(high - low, 1e-9)
    return low - 0.06 * margin, high + 0.10 * margin


def diagnostics_figure(run: RunFiles, learner: str, size: tuple[float, float]) -> Figure:
    """What a trainer watches, as small multiples of about a hundred points."""
    every = 1 + int(run.metrics["update"].to_numpy().max()) // 100
    frame = run.metrics.query(f"learner == @learner and update % {every} == 0")
    shown = [column for column in _DIAGNOSTICS if column in frame and _measured(frame, column)]
    figure, panels = _panels(size, 2, max(1, (len(shown) + 1) // 2))
    figure.suptitle(learner, x=0.01, ha="left", fontsize=12, fontweight="bold")
    for axes in panels.flat[len(shown) :]:
        axes.set_visible(False)
    for axes, column in zip(panels.flat, shown, strict=False):
        _curve(axes, frame, column)
        axes.set_title(_DIAGNOSTICS[column], fontsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.yaxis.set_major_locator(MaxNLocator(4))
    return figure


def _measured(frame: pd.DataFrame, column: str) -> bool:
    return bool(np.isfinite(frame[column].to_numpy(dtype=float)).any())


def _seed_lines(axes: Axes, frame: pd.DataFrame, column: str) -> None:
    seeds = frame.pivot(index="env_steps", columns="seed", values=column).dropna(how="all")
    axes.plot(seeds.index, seeds.to_numpy(), color=COLOUR["learned"], linewidth=0.6, alpha=0.35)


def _curve(axes: Axes, frame: pd.DataFrame, column: str) -> None:
    """Interquartile mean over seeds and the band of the middle half, where every seed has a value."""
    seeds = frame.pivot(index="env_steps", columns="seed", values=column).dropna()
    values = seeds.to_numpy()
    low, high = np.quantile(values, [0.25, 0.75], axis=1)
    axes.fill_between(seeds.index, low, high, color=COLOUR["learned"], alpha=0.18, linewidth=0)
    axes.plot(seeds.index, trim_mean(values, 0.25, axis=1), color=COLOUR["learned"], linewidth=2)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlim(0, float(frame["env_steps"].to_numpy().max()))


def _reference_lines(axes: Axes, marks: Sequence[Reference], end: float) -> None:
    """Dashed lines, named at the side of the line that a curve which ends at `end` leaves free."""
    for mark in marks:
        below = mark.value <= end
        axes.axhline(mark.value, color=COLOUR["soft"], linewidth=1, linestyle=(0, (5, 3)))
        text, offset, side = (
            f"{mark.name} {formats.percent(mark.value)} %",
            -4 if below else 4,
            "top" if below else "bottom",
        )
        axes.annotate(text, (1, mark.value), (0, offset), ha="right", va=side, **ON_A_LINE)


def _panels(size: tuple[float, float], height: int, width: int, **options: Any) -> tuple[Figure, np.ndarray]:
    figure = canvas(size, layout="constrained")
    return figure, figure.subplots(height, width, squeeze=False, **options)
