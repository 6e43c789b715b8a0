"""Figures of a comparison: learning curves, fronts, what the arms learned; each arm has a colour and a marker."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from hierrouter_jax.report import formats
from hierrouter_jax.report.data.compare import CompareFiles, point_at
from hierrouter_jax.report.figures.plane import place_labels
from hierrouter_jax.report.figures.style import COLOUR, PERCENT, arm_look, canvas

LEARNED = {"hops": "hops", "stop": "stops early", "repaired": "repaired", "damaged": "damaged"}


def curves_figure(files: CompareFiles, size: tuple[float, float], metric: str = "validation_accuracy") -> Figure:
    """A panel a cost weight: interquartile mean over seeds of every arm, with its bootstrap band."""
    weights = files.compare["cost_weights"]
    width = min(3, len(weights))
    figure = canvas(size, layout="constrained")
    panels = figure.subplots(ceil(len(weights) / width), width, squeeze=False, sharey="row")
    for axes in panels.flat[len(weights) :]:
        axes.set_visible(False)
    for axes, weight in zip(panels.flat, weights, strict=False):
        lows = []
        for index, arm in enumerate(files.compare["arms"]):
            point = point_at(arm, weight)
            if point is None or metric not in point["curve"]:
                continue
            curve, look = point["curve"], arm_look(index)
            band = {key: np.array(values, dtype=float) for key, values in curve[metric].items()}
            axes.fill_between(curve["update"], band["low"], band["high"], color=look["color"], alpha=0.15, linewidth=0)
            axes.plot(curve["update"], band["iqm"], color=look["color"], linestyle=look["linestyle"], **_line(index))
            lows.append(np.nanquantile(band["iqm"], 0.15))
        if lows:
            axes.set_ylim(bottom=min(lows))
        axes.set_title(f"cost weight {weight:g}", fontsize=10.5)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        if metric == "validation_accuracy":
            axes.yaxis.set_major_formatter(PERCENT)
    for axes in panels[:, 0]:
        axes.set_ylabel(metric.replace("_", " "))
    figure.supxlabel("updates", fontsize=11, color=COLOUR["soft"])
    return figure


def fronts_figure(files: CompareFiles, size: tuple[float, float], narrow: bool = False) -> Figure:
    """Cost and accuracy of every arm at every cost weight: beside all that is known, and closer with 95 % intervals."""
    figure = canvas(size, layout="constrained")
    whole, close = figure.subplots(2, 1) if narrow else figure.subplots(1, 2)
    scale, unit = files.unit or (1.0, "")
    arms = [(index, point) for index, arm in enumerate(files.compare["arms"]) for point in arm["points"]]
    costs = np.array([point["cost"]["mean"] for _, point in arms]) / scale
    accuracies = np.array([point["accuracy"]["mean"] for _, point in arms])
    others = [(row["cost"] / scale, row["accuracy"], row) for row in files.compare["opponents"]]
    for axes in (whole, close):
        for index, arm in enumerate(files.compare["arms"]):
            _front(axes, arm, scale, index, intervals=axes is close)
        for name in dict.fromkeys(row["name"] for _, _, row in others):  # one may stand at several cost weights
            series = sorted({(cost, accuracy) for cost, accuracy, row in others if row["name"] == name})
            axes.plot(*zip(*series, strict=True), color=COLOUR["stop"], linewidth=0.8, zorder=1)
        for cost, accuracy, row in others:
            oracle = row["kind"] == "oracle"
            look: dict[str, Any] = {"markerfacecolor": "none" if oracle else COLOUR["soft"]}
            axes.plot(
                cost, accuracy, "*" if oracle else ".", ms=9 if oracle else 7, mec=COLOUR["soft"], zorder=2, **look
            )
        axes.yaxis.set_major_formatter(PERCENT)
        axes.set_xlabel(f"cost of a query, in units of {unit}" if unit else "cost of a query")
    whole.set_ylabel("accuracy")
    everything = [*accuracies, *(accuracy for _, accuracy, _ in others)]
    whole.set_ylim(max(-0.02, min(everything) - 0.05), min(1.06, max(everything) + 0.06))
    whole.set_xlim(0, 1.1 * max([*costs, *(cost for cost, _, _ in others)]))
    for centre, limit, spread in ((costs, close.set_xlim, 0.02), (accuracies, close.set_ylim, 0.005)):
        margin = max(0.15 * np.ptp(centre), spread)
        limit(centre.min() - margin, centre.max() + margin)
    whole.set_title("all", fontsize=10.5)
    close.set_title("the arms, closer", fontsize=10.5)
    points, texts = _named(others)
    marks = [[(cost, accuracy)] * 2 for cost, accuracy in zip(costs, accuracies, strict=True)]
    marks += [
        [(cost, accuracy)] * 2 for cost, accuracy, _ in others if (round(cost, 3), round(accuracy, 4)) not in points
    ]
    place_labels(whole, points, texts, ["normal"] * len(texts), marks)
    return figure


def _named(others: Sequence[tuple[float, float, dict[str, Any]]]) -> tuple[list[tuple[float, float]], list[str]]:
    """Where opponents are named, each once, at its most accurate point, and the names that share a point."""
    best: dict[str, tuple[float, float]] = {}
    for cost, accuracy, row in sorted(others, key=lambda other: (-other[1], other[0])):
        best.setdefault(row["name"], (round(cost, 3), round(accuracy, 4)))
    merged: dict[tuple[float, float], list[str]] = {}
    for name, point in best.items():
        merged.setdefault(point, []).append(name)
    texts = [" =\n".join(names[:2]) + (f" +{len(names) - 2}" if len(names) > 2 else "") for names in merged.values()]
    return list(merged), texts


def _line(index: int) -> dict[str, Any]:
    """The baseline, drawn first, is broader, so that it is seen under an arm that equals it."""
    return {"linewidth": 1.3 if index else 3.2}


def _weight(index: int) -> dict[str, Any]:
    return {"markersize": 4.5 if index else 8, **_line(index)}


def with_key(figure: Figure, files: CompareFiles) -> Figure:
    """The figure with the arms' names over it, where no page says them."""
    handles = [
        Line2D([], [], markersize=5, markeredgecolor="none", label=name, **arm_look(index))
        for index, name in enumerate(files.arms)
    ]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=min(6, len(handles)), fontsize=10, labelcolor=COLOUR["soft"]
    )
    return figure


def _front(axes: Axes, arm: dict[str, Any], scale: float, index: int, intervals: bool) -> None:
    look, points = arm_look(index), sorted(arm["points"], key=lambda point: point["cost"]["mean"])
    x = [point["cost"]["mean"] / scale for point in points]
    y = [point["accuracy"]["mean"] for point in points]
    axes.plot(x, y, alpha=0.85, markeredgecolor="none", zorder=4, **look, **_weight(index))
    for at, point in enumerate(points if intervals else ()):
        thin: dict[str, Any] = {"color": look["color"], "linewidth": 0.9, "alpha": 0.5, "zorder": 3}
        if point["accuracy"].get("mean_ci"):
            axes.plot([x[at]] * 2, point["accuracy"]["mean_ci"], **thin)
        if point["cost"].get("mean_ci"):
            axes.plot([end / scale for end in point["cost"]["mean_ci"]], [y[at]] * 2, **thin)


def learned_figure(files: CompareFiles, size: tuple[float, float]) -> Figure:
    """How behaviour answers to the cost weight: hops, how often STOP is taken, and answers repaired and damaged."""
    shown = [name for name in LEARNED if _behaviour(files.compare["arms"][0]["points"][0], name) is not None]
    figure = canvas(size, layout="constrained")
    weights = sorted(files.compare["cost_weights"])
    panels = figure.subplots(1, len(shown), squeeze=False)
    for axes, name in zip(panels.flat, shown, strict=True):
        for index, arm in enumerate(files.compare["arms"]):
            points = sorted(arm["points"], key=lambda point: point["cost_weight"])
            at = [weights.index(point["cost_weight"]) for point in points]
            values = [_behaviour(point, name) for point in points]
            axes.plot(at, values, markeredgecolor="none", **arm_look(index), **_weight(index))
        axes.set_title(LEARNED[name], fontsize=10.5)
        axes.xaxis.set_major_locator(FixedLocator(range(len(weights))))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{weights[round(value)]:g}"))
        axes.tick_params(axis="x", labelsize=9)
        if name != "hops":
            axes.yaxis.set_major_formatter(PERCENT)
    figure.supxlabel("cost weight", fontsize=11, color=COLOUR["soft"])
    return figure


def _behaviour(point: dict[str, Any], name: str) -> float | None:
    return point["stop_rate"]["all"] if name == "stop" else point.get(name)


def front_numbers_figure(files: CompareFiles, size: tuple[float, float]) -> Figure:
    """Hypervolume and AIQ of every arm's front with 95 % intervals."""
    names = [name for name in ("hypervolume", "aiq") if name in files.compare["arms"][0]["front"]]
    figure = canvas(size, layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True)
    for axes, name in zip(panels.flat, names, strict=True):
        for index, arm in enumerate(files.compare["arms"]):
            number = arm["front"][name]
            interval_row(axes, index, number["value"], number.get("ci"), arm_look(index))
        axes.set_title({"hypervolume": "hypervolume", "aiq": "AIQ"}[name], fontsize=10.5)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    label_rows(panels.flat[0], files.arms)
    return figure


def interval_row(axes: Axes, y: float, value: float, interval: Sequence[float] | None, look: dict[str, Any]) -> None:
    """A dot with its interval."""
    if interval:
        axes.plot(interval, [y, y], color=look["color"], linewidth=2, alpha=0.55, solid_capstyle="round")
    axes.plot(value, y, marker=look["marker"], color=look["color"], markersize=6, linestyle="none")


def label_rows(axes: Axes, names: Sequence[str]) -> None:
    """Names of the rows from top to bottom, instead of a scale."""
    axes.yaxis.set_major_locator(FixedLocator(range(len(names))))
    axes.set_yticklabels(names)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(len(names) - 0.4, -0.6)


def forest_figure(files: CompareFiles, family: str, size: tuple[float, float]) -> Figure:
    """Differences from the baseline with 95 % intervals and verdicts; beside it the probability of improvement."""
    listed = files.family(family)
    improved = any(row.get("probability_of_improvement") for row in listed)
    figure = canvas(size, layout="constrained")
    left, *right = figure.subplots(1, 1 + improved, squeeze=False, sharey=True, width_ratios=(3, 2)[: 1 + improved])[0]
    for y, row in enumerate(listed):
        index = files.arms.index(row["a"]) if row["a"] in files.arms else len(files.arms)
        decided = row["verdict"] in ("better", "worse")
        look = arm_look(index) if decided else {**arm_look(index), "color": COLOUR["faint"]}
        interval_row(left, y, 100 * row["difference"], [100 * end for end in row["ci"]], look)
        chance = row.get("probability_of_improvement")
        if right and chance:
            interval_row(right[0], y, chance["value"], chance.get("ci"), look)
        words = row["verdict"] + (f", p {formats.p_value(row['p_holm'])}" if row.get("p_holm") is not None else "")
        place = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 9}
        colour = COLOUR["ink" if decided else "soft"]
        (right[0] if right else left).annotate(words, (1.03, y), color=colour, **place)
    for y in (y for y in range(1, len(listed)) if listed[y]["a"] != listed[y - 1]["a"]):
        for axes in (left, *right):
            axes.axhline(y - 0.5, color=COLOUR["grid"], linewidth=1)
    left.axvline(0, color=COLOUR["faint"], linewidth=1)
    label_rows(left, [f"{row['a']}: {row['metric']}{_at_weight(row)}" for row in listed])
    left.tick_params(axis="y", labelsize=9)
    left.set_xlabel(f"difference from {files.baseline}, points")
    if right:
        right[0].axvline(0.5, color=COLOUR["faint"], linewidth=1)
        right[0].set_xlim(-0.04, 1.04)
        right[0].set_xlabel("probability of improvement")
        right[0].grid(visible=False, axis="y")
        right[0].tick_params(axis="y", length=0, labelleft=False)
    return figure


def _at_weight(row: dict[str, Any]) -> str:
    return "" if row["cost_weight"] is None else f", {row['cost_weight']:g}"
