"""The cost-accuracy plane."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from hierrouter_jax.report import formats
from hierrouter_jax.report.data.run import RunFiles
from hierrouter_jax.report.figures.palette import COLOUR, ON_A_LINE, canvas, model_colour, place_labels

_MARKERS = {"learned": "o", "single": "s", "sequence": "D", "supervised": "^", "cascade": "P", "random": "X"}
Segment = list[tuple[float, float]]


def cost_accuracy_figure(run: RunFiles, size: tuple[float, float]) -> Figure:
    """Every policy by relative cost and accuracy, the Pareto front of those that could serve, and the limits."""
    figure = canvas(size, layout="constrained")
    axes = figure.subplots()
    unit = formats.cheapest_single(run.evaluation)
    scale = unit["cost"] if unit else 1.0
    deployable = formats.deployable(run.evaluation)
    marked = deployable + [row for row in formats.oracles(run.evaluation) if row.get("cost") is not None]
    for row in marked:
        _mark(axes, row, run.models, scale)
    front = _front(axes, [(row["cost"] / scale, row["accuracy"]) for row in deployable])
    told = [point for row in deployable for point in _told_front(axes, row, scale)]
    _cost_axis(axes, [row["cost"] / scale for row in marked] + [cost for cost, _ in told])
    limit = formats.co_failure_ceiling(run.evaluation)
    accuracies = [row["accuracy"] for row in marked] + [accuracy for _, accuracy in told]
    accuracies += [limit[0]] if limit else []
    axes.set_ylim(max(-0.02, min(accuracies) - 0.07), min(1.05, max(accuracies) + 0.08))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_ylabel("accuracy")
    axes.set_xlabel(f"cost of a query, in units of {unit['name']}" if unit else "cost of a query")
    ceiling = _ceiling(axes, limit[0]) if limit else []
    merged = _merge(marked, scale)
    weights = ["bold" if any(row["kind"] == "learned" for row in group) else "normal" for group in merged.values()]
    texts = [_joined([row["name"] for row in group], 2 if size[0] > 600 else 1) for group in merged.values()]
    bars = [[(x, end) for end in row["accuracy_ci"]] for (x, _), (row, *_) in merged.items() if _has_bar(row)]
    place_labels(axes, list(merged), texts, weights, [*bars, *front, *ceiling])
    return figure


def _has_bar(row: dict[str, Any]) -> bool:
    return row["kind"] != "oracle" and bool(row.get("accuracy_ci"))


def _mark(axes: Axes, row: dict[str, Any], models: Sequence[str], scale: float) -> None:
    x, y, learned, oracle = row["cost"] / scale, row["accuracy"], row["kind"] == "learned", row["kind"] == "oracle"
    single = row["name"].split(" x")[0] if row["kind"] == "single" else None
    colour = COLOUR["learned"] if learned else COLOUR["soft"]
    if single in models:
        colour = model_colour(models.index(single))
    if _has_bar(row):
        axes.plot([x, x], row["accuracy_ci"], color=colour, linewidth=1, alpha=0.55, zorder=2)
    size = 11 if oracle else 9 if learned else 6
    marker = "*" if oracle else _MARKERS.get(row["kind"], "v")
    face = "none" if oracle else colour
    axes.plot(x, y, marker, markersize=size, markerfacecolor=face, markeredgecolor=colour, zorder=4 if learned else 3)


def pareto(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The (cost, accuracy) pairs that no other reaches for less or beats for as much, cheapest first."""
    front: list[tuple[float, float]] = []
    for cost, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or accuracy > front[-1][1]:
            front.append((cost, accuracy))
    return front


def _front(axes: Axes, points: Sequence[tuple[float, float]]) -> list[Segment]:
    """Draw the Pareto front as steps, what accuracy a budget buys, and return its segments."""
    front = pareto(points)
    corners = [front[0]]
    for (_, before), (cost, accuracy) in pairwise(front):
        corners += [(cost, before), (cost, accuracy)]
    axes.plot(*zip(*corners, strict=True), color=COLOUR["faint"], linewidth=1.2, zorder=1)
    return [list(segment) for segment in pairwise(corners)]


def _told_front(axes: Axes, row: dict[str, Any], scale: float) -> list[tuple[float, float]]:
    """Draw what a router reaches that is told a cost weight or a budget, its best as a line; returns the points."""
    points = [(point["cost"] / scale, point["accuracy"]) for point in row.get("front", [])]
    if points:
        axes.plot(*zip(*points, strict=True), "o", markersize=3, color=COLOUR["learned"], alpha=0.45, zorder=2)
        axes.plot(*zip(*pareto(points), strict=True), color=COLOUR["learned"], linewidth=1.6, zorder=2)
    return points


def _cost_axis(axes: Axes, costs: Sequence[float]) -> None:
    """From zero, or logarithmic where the dearest policy costs over ten times the cheapest."""
    if min(costs) > 0 and max(costs) > 10 * min(costs):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(min(costs) / 1.5, max(costs) * 1.8)
    else:
        axes.set_xlim(0, 1.12 * max(*costs, 1e-9))


def _ceiling(axes: Axes, accuracy: float) -> list[Segment]:
    """Draw the co-failure ceiling and return its line."""
    axes.axhline(accuracy, color=COLOUR["soft"], linewidth=1, linestyle=(0, (1, 2)))
    name = f"co-failure ceiling {formats.percent(accuracy)} %"
    axes.annotate(name, (0, accuracy), (4, 3), va="bottom", **ON_A_LINE)
    return [[(end, accuracy) for end in axes.get_xlim()]]


def _merge(marked: Sequence[dict[str, Any]], scale: float) -> dict[tuple[float, float], list[dict[str, Any]]]:
    """Rows that fall on one point share its label."""
    points: dict[tuple[float, float], list[dict[str, Any]]] = {}
    for row in marked:
        points.setdefault((round(row["cost"] / scale, 4), round(row["accuracy"], 5)), []).append(row)
    return points


def _joined(names: Sequence[str], on_a_line: int) -> str:
    """Names of one point, so many on a line."""
    return " =\n".join(" = ".join(names[start : start + on_a_line]) for start in range(0, len(names), on_a_line))
