"""The cost-accuracy planes of a run and of a leaderboard, and labels beside their points."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from hierrouter_jax.evaluation.metrics import pareto_front
from hierrouter_jax.report import formats
from hierrouter_jax.report.data.run import RunFiles
from hierrouter_jax.report.figures.style import COLOUR, ON_A_LINE, canvas, model_colour

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
    conditioned = [point for row in deployable for point in _conditioned_front(axes, row, scale)]
    cost_axis(axes, [row["cost"] / scale for row in marked] + [cost for cost, _ in conditioned])
    limit = formats.co_failure_ceiling(run.evaluation)
    accuracies = [row["accuracy"] for row in marked] + [accuracy for _, accuracy in conditioned]
    accuracies += [limit[0]] if limit else []
    axes.set_ylim(max(-0.02, min(accuracies) - 0.07), min(1.05, max(accuracies) + 0.08))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_ylabel("accuracy")
    axes.set_xlabel(f"cost of a query, in units of {unit['name']}" if unit else "cost of a query")
    ceiling = _ceiling(axes, limit[0]) if limit else []
    merged = by_point(marked, scale, (4, 5))
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


def front_points(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of (cost, accuracy) pairs those on their Pareto front, cheapest first."""
    pairs = list(points)
    return [pairs[index] for index in pareto_front(*np.array(pairs, dtype=float).T)]


def _front(axes: Axes, points: Sequence[tuple[float, float]]) -> list[Segment]:
    """Draw the Pareto front as steps, what accuracy a budget buys, and return its segments."""
    front = front_points(points)
    corners = [front[0]]
    for (_, before), (cost, accuracy) in pairwise(front):
        corners += [(cost, before), (cost, accuracy)]
    axes.plot(*zip(*corners, strict=True), color=COLOUR["faint"], linewidth=1.2, zorder=1)
    return [list(segment) for segment in pairwise(corners)]


def _conditioned_front(axes: Axes, row: dict[str, Any], scale: float) -> list[tuple[float, float]]:
    """Draw what a conditioned router reaches at each condition, its best as a line; returns the points."""
    points = [(point["cost"] / scale, point["accuracy"]) for point in row.get("front", [])]
    if points:
        axes.plot(*zip(*points, strict=True), "o", markersize=3, color=COLOUR["learned"], alpha=0.45, zorder=2)
        axes.plot(*zip(*front_points(points), strict=True), color=COLOUR["learned"], linewidth=1.6, zorder=2)
    return points


def cost_axis(axes: Axes, costs: Sequence[float]) -> None:
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


def by_point(
    rows: Iterable[dict[str, Any]], scale: float, digits: tuple[int, int] = (3, 4)
) -> dict[tuple[float, float], list[dict[str, Any]]]:
    """Rows that fall on one point, and so share its label, by their cost and accuracy.

    Args:
      scale: cost of the unit, in money.
      digits: decimals of cost and accuracy within which points are the same.
    """
    points: dict[tuple[float, float], list[dict[str, Any]]] = {}
    for row in rows:
        points.setdefault((round(row["cost"] / scale, digits[0]), round(row["accuracy"], digits[1])), []).append(row)
    return points


def _joined(names: Sequence[str], on_a_line: int) -> str:
    """Names of one point, so many on a line."""
    return " =\n".join(" = ".join(names[start : start + on_a_line]) for start in range(0, len(names), on_a_line))


def board_figure(board: dict[str, Any], size: tuple[float, float]) -> Figure:
    """Every participant by cost and accuracy with both intervals; one of several cost weights is a line of points."""
    figure = canvas(size, layout="constrained")
    axes = figure.subplots()
    cheapest = formats.cheapest_single(board)
    unit, models = cheapest["cost"] if cheapest else 1.0, formats.model_names(board["table"])
    shown = [row for row in board["policies"] if row["name"] != "random+stop"]
    for row in shown:
        ours, oracle = row["name"] == "ours", row["kind"] == "oracle"
        colour = COLOUR["learned"] if row["kind"] == "learned" else COLOUR["soft"]
        if row["name"] in models:
            colour = model_colour(models.index(row["name"]))
        points = sorted((point["cost"] / unit, point["accuracy"]) for point in row["points"])
        if len(set(points)) > 1:
            axes.plot(*zip(*points, strict=True), color=colour, linewidth=1.8 if ours else 0.9, alpha=0.6, zorder=2)
        x, y = row["cost"] / unit, row["accuracy"]
        if not oracle:
            bar: dict[str, Any] = {"color": colour, "linewidth": 1.6 if ours else 0.9, "alpha": 0.5, "zorder": 2}
            axes.plot([x, x], row["accuracy_ci"], **bar)
            axes.plot([end / unit for end in row["cost_ci"]], [y, y], **bar)
        axes.plot(
            x,
            y,
            "*" if oracle else _MARKERS.get(row["kind"], "v"),
            markersize=11 if oracle else 10 if ours else 6,
            markerfacecolor="none" if oracle else colour,
            markeredgecolor=colour,
            zorder=5 if ours else 3,
        )
    marks = [point for row in shown for point in (row, *row["points"])]
    cost_axis(axes, [point["cost"] / unit for point in marks])
    ends = [end for row in shown for end in row["accuracy_ci"]] + [point["accuracy"] for point in marks]
    axes.set_ylim(max(-0.02, min(ends) - 0.03), min(1.05, max(ends) + 0.04))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_ylabel("accuracy")
    axes.set_xlabel("cost of a query, the cheapest model's as 1")
    places = by_point(shown, unit)
    texts = [" =\n".join(row["name"] for row in group) for group in places.values()]
    weights = ["bold" if any(row["name"] == "ours" for row in group) else "normal" for group in places.values()]
    place_labels(axes, list(places), texts, weights)
    return figure


_ANGLES = np.deg2rad(np.arange(0, 360, 22.5))
_DISTANCES = np.array([9.0, 13, 19, 27, 37, 50, 65, 82])
_LEADER_FROM = 13.0  # nearer labels need no leader line
_POINT = 6.0  # half the side of the square that a mark occupies
_SWEEPS = 3


def place_labels(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    weights: Sequence[str],
    segments: Sequence[Sequence[tuple[float, float]]] = (),
) -> None:
    """Label `points` (data coordinates), each as near to its point as the others allow, off upright `segments`.

    Coordinate descent over a ring of candidate places: a place costs what it overlaps, what its leader line
    crosses, and its distance. The axes' limits must be final.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    for _ in range(2):  # one pass of the layout does not always settle it
        figure.draw_without_rendering()
    scale = 72 / figure.dpi
    at = axes.transData.transform(np.asarray(points, float)) * scale
    frame = np.asarray(axes.get_window_extent().extents) * scale
    ends = axes.transData.transform(np.asarray(segments, float).reshape(-1, 2)).reshape(-1, 2, 2) * scale
    lines = np.concatenate([ends.min(axis=1) - 1.5, ends.max(axis=1) + 1.5], axis=1)
    written = np.reshape([np.asarray(text.get_window_extent().extents) * scale for text in axes.texts], (-1, 4))
    fixed = np.concatenate([lines, written])
    labels = [_label(axes, *row) for row in zip(points, texts, weights, strict=True)]
    sizes = [np.asarray(label.get_window_extent().size) * scale for label in labels]
    marks = np.concatenate([at - _POINT, at + _POINT], axis=1)
    boxes = np.full((len(labels), 4), np.nan)
    leaders = np.zeros(len(labels), bool)
    crowded = np.argsort([-np.sum(np.abs(at - point).max(axis=1) < 60) for point in at], kind="stable")
    for index in [*crowded] * _SWEEPS:
        others = np.delete(boxes, index, axis=0)
        obstacles = np.concatenate([others[~np.isnan(others[:, 0])], np.delete(marks, index, axis=0), fixed])
        candidates, distances = _candidates(at[index], sizes[index])
        best = np.argmin(_costs(candidates, distances, at[index], obstacles, frame))
        boxes[index], leaders[index] = candidates[best], distances[best] > _LEADER_FROM
    for label, point, box, leader in zip(labels, at, boxes, leaders, strict=True):
        _move(label, point, box, bool(leader))


def _label(axes: Axes, point: tuple[float, float], text: str, weight: str) -> Annotation:
    arrow = {"arrowstyle": "-", "color": COLOUR["faint"], "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4}
    label = axes.annotate(
        text,
        point,
        (0, 0),
        textcoords="offset points",
        fontsize=10,
        fontweight=weight,
        va="center",
        arrowprops=arrow,
        color=COLOUR["ink"] if weight == "bold" else COLOUR["soft"],
        annotation_clip=False,
        zorder=5,
    )
    label.set_in_layout(False)
    return label


def _candidates(point: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (x0, y0, x1, y1) [C, 4] whose nearest edge lies at each distance and angle, and the distances [C]."""
    directions = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
    shifts = np.sign(np.round(directions, 6)) * size / 2
    centres = (point + _DISTANCES[:, None, None] * directions + shifts).reshape(-1, 2)
    return np.concatenate([centres - size / 2, centres + size / 2], axis=1), np.repeat(_DISTANCES, len(_ANGLES))


def _costs(
    boxes: np.ndarray, distances: np.ndarray, point: np.ndarray, obstacles: np.ndarray, frame: np.ndarray
) -> np.ndarray:
    """How bad each candidate box is, [C]."""
    padded = boxes + np.array([-2, -1, 2, 1])
    low = np.maximum(padded[:, None, :2], obstacles[None, :, :2])
    high = np.minimum(padded[:, None, 2:], obstacles[None, :, 2:])
    overlap = np.prod(np.clip(high - low, 0, None), axis=-1).sum(axis=1)
    outside = np.clip(frame[:2] - boxes[:, :2], 0, None) + np.clip(boxes[:, 2:] - frame[2:], 0, None)
    ends = np.clip(point, boxes[:, :2], boxes[:, 2:])
    line = point + np.linspace(0.15, 1, 12)[:, None, None] * (ends - point)
    inside = (line[:, :, None] > obstacles[:, :2]).all(-1) & (line[:, :, None] < obstacles[:, 2:]).all(-1)
    left = 2.0 * (boxes[:, 2] < point[0])
    return 5 * overlap + 50 * outside.sum(axis=1) + 30 * inside.sum(axis=(0, 2)) + distances + left


def _move(label: Annotation, point: np.ndarray, box: np.ndarray, leader: bool) -> None:
    """Put a label into its box, anchored at the side that faces its point."""
    if box[0] >= point[0]:
        x, anchor = box[0], "left"
    elif box[2] <= point[0]:
        x, anchor = box[2], "right"
    else:
        x, anchor = (box[0] + box[2]) / 2, "center"
    label.set_horizontalalignment(anchor)
    label.set_position((x - point[0], (box[1] + box[3]) / 2 - point[1]))
    assert label.arrow_patch is not None
    label.arrow_patch.set_visible(leader)
