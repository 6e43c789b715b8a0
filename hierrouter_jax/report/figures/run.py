"""Figures of a run: how it learned, what a trainer watches beside it, and which routes each task takes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from typing import Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

from hierrouter_jax.report import formats
from hierrouter_jax.report.data.run import RunFiles, seed_band
from hierrouter_jax.report.figures.style import COLOUR, ON_A_LINE, canvas, model_colour, text_on

_DIAGNOSTICS = {
    "train_return": "training return",
    "entropy": "entropy",
    "policy_loss": "policy loss",
    "value_loss": "value loss",
    "approx_kl": "approximate KL",
    "clip_fraction": "clipped fraction",
}
_LETTER = 0.58  # mean width of a letter in font sizes
_LABELLED = 0.07  # routes of a smaller share get no number
_NAMED = 0.16  # blocks of a smaller share get no name


@dataclass(frozen=True)
class Reference:
    """A horizontal line to compare a learning curve with."""

    name: str
    value: float


def learning_column(metrics: pd.DataFrame) -> str:
    """What the learning curves show: validation accuracy where it was measured."""
    preferred = ("validation_accuracy", "validation_return")
    return next((column for column in preferred if _measured(metrics, column)), "train_return")


def references(evaluation: dict[str, Any], learner: str, column: str) -> list[Reference]:
    """The opponent and the oracle of a learner's own action set; none for returns, which have other units."""
    if column != "validation_accuracy":
        return []
    stop = learner.endswith("+stop")
    names = ("task-sequence+stop", "oracle_stop") if stop else ("task-sequence", "oracle_fixed")
    known = {row["name"]: row["accuracy"] for row in formats.oracles(evaluation) + evaluation["policies"]}
    return [Reference(name, known[name]) for name in names if name in known]


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
    band, colour = seed_band(frame, column), COLOUR["learned"]
    axes.fill_between(band["env_steps"], band["quartile_1"], band["quartile_3"], color=colour, alpha=0.18, linewidth=0)
    axes.plot(band["env_steps"], band["iqm"], color=colour, linewidth=2)
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


class Routed(Protocol):
    """What is known of routes: shares by router and task, the models, and the horizon in `evaluation`."""

    @property
    def behaviour(self) -> dict[str, Any]: ...
    @property
    def models(self) -> list[str]: ...
    @property
    def evaluation(self) -> dict[str, Any]: ...


def routes_figure(run: Routed, tasks: Sequence[str], size: tuple[float, float], columns: int = 1) -> Figure:
    """For each task and router the shares of its routes: a band read from left to right is a route."""
    routers = list(run.behaviour)
    figure = canvas(size)
    width, height = size[0] / (columns * len(routers)), size[1] / -(-len(tasks) // columns)
    heading = 22 if len(tasks) == 1 else 42
    for index, task in enumerate(tasks):
        for offset, router in enumerate(routers):
            left = ((index % columns) * len(routers) + offset) * width
            bottom = size[1] - (index // columns + 1) * height
            x, y, inner = (left + 4) / size[0], (bottom + 8) / size[1], width - 8
            axes = figure.add_axes((x, y, inner / size[0], (height - heading - 8) / size[1]))
            axes.set_axis_off()
            axes.set_title(router, fontsize=11, color=COLOUR["soft"])
            if offset == 0 and len(tasks) > 1:
                figure.text(x, (bottom + height - 20) / size[1], task, fontweight="bold")
            _bands(axes, run.behaviour[router]["routes"].get(task, []), run, inner)
    return figure


def _bands(axes: Axes, routes: Sequence[dict[str, Any]], run: Routed, width: float) -> None:
    horizon = run.evaluation["table"]["horizon"]
    axes.set(xlim=(0, horizon + 0.66), ylim=(1.001, -0.001))
    order = {name: place for place, name in enumerate([*run.models, "STOP"])}
    padded = [(tuple(r["route"]) + ("STOP",) * (horizon - len(r["route"])), r["share"]) for r in routes]
    padded.sort(key=lambda item: [order.get(name, len(order)) for name in item[0]])
    if not padded:
        axes.text(0, 0.06, "no query", va="center", fontsize=10, color=COLOUR["faint"])
    for stage in range(horizon):
        for name, top, share in _runs([(route[: stage + 1], share) for route, share in padded]):
            _block(axes, name, stage, top, share, run.models, width / (horizon + 0.66))
    for _, top, share in _runs(padded):
        if share >= _LABELLED:
            label = f"{100 * share:.0f} %"
            axes.text(horizon + 0.06, top + share / 2, label, va="center", fontsize=10, color=COLOUR["soft"])


def _runs(prefixes: Sequence[tuple[tuple[str, ...], float]]) -> Iterator[tuple[str, float, float]]:
    """Last model, top and height of each stretch of equal route prefixes."""
    top = 0.0
    for prefix, group in groupby(prefixes, key=lambda item: item[0]):
        height = sum(share for _, share in group)
        yield prefix[-1], top, height
        top += height


def _block(axes: Axes, name: str, stage: int, top: float, share: float, models: Sequence[str], width: float) -> None:
    """A model's colour, named where there is room; `width` is about what the block has, in pixels."""
    known = name in models
    fill = model_colour(models.index(name)) if known else COLOUR["stop"]
    ink = text_on(fill) if known else COLOUR["ink"]
    axes.add_patch(Rectangle((stage, top), 0.97, share, facecolor=fill, edgecolor=COLOUR["paper"], linewidth=0.8))
    if share >= _NAMED:
        font = max(7.0, min(9.0, 0.94 * width / (_LETTER * len(name))))
        room = int(0.94 * width / (_LETTER * font))
        text = name if len(name) <= room else f"{name[: room - 1]}\N{HORIZONTAL ELLIPSIS}"
        axes.text(stage + 0.485, top + share / 2, text, ha="center", va="center", fontsize=font, color=ink)
