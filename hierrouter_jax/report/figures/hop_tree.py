"""The picture of a query's hop tree: from left to right the hops, the taken route in colour."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from hierrouter_jax.report import formats
from hierrouter_jax.report.data.hop_tree import STOP, Branch, QueryTree, leaves
from hierrouter_jax.report.figures.style import (
    COLOUR,
    DISTINCT,
    DOUBLE,
    STYLE,
    canvas,
    model_colour,
    paper_files,
    to_svg,
)
from hierrouter_jax.report.site import Section

_ROW, _HEAD, _ROOT = 19.0, 46.0, 58.0
_LETTER = 5.9  # width of a letter of the labels
_TICK = " \N{CHECK MARK} "
_FOLDED = " \N{HORIZONTAL ELLIPSIS}"
_FAINT = 0.01  # branches less likely are faint
_PAGE_WIDTH = 920


def tree_section(tree: QueryTree, models: list[str]) -> Section:
    """The picture of a hop tree for the page and for paper, and its branches as rows.

    Args:
      models: names of the pool's models, in the pool's order.
    """
    with rc_context(STYLE):
        figure, titles = tree_figure(tree, models, _PAGE_WIDTH)
        svg = to_svg(figure, f"Hop tree of query {tree.query['id']}", titles)
        files = paper_files({"hop_tree": tree_figure(tree, models, DOUBLE)[0]})
    columns = {"router": tree.router, "query_id": tree.query["id"]}
    return Section(_context(tree, svg), [columns | vars(branch) for branch in tree.branches], files)


def tree_figure(tree: QueryTree, models: list[str], width: float) -> tuple[Figure, dict[str, str]]:
    """The figure, and by gid what each node says in full when pointed at."""
    last = max(branch.stage for branch in tree.branches)
    ends = leaves(tree.branches)
    height = _HEAD + _ROW * len(ends) + 6
    figure = canvas((width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(height, 0))
    pitch = (width - _ROOT) / max(last, 1)
    y = _rows(tree, {index: _HEAD + _ROW * (place + 0.5) for place, index in enumerate(ends)})
    x = [_ROOT + pitch * (branch.stage - 0.72) if branch.stage else 12.0 for branch in tree.branches]
    _head(axes, models, [_ROOT + pitch * (stage + 0.28) for stage in range(last)])
    titles, starts = {}, {}
    for index, branch in enumerate(tree.branches):
        at, gid = (x[index], y[index]), f"node-{index}"
        titles[gid] = _title(branch, tree)
        length = _node(axes, at, branch, models, int((0.72 * pitch - 14) / _LETTER), gid)
        if branch.opened:
            column = _ROOT if branch.stage == 0 else at[0] + 0.72 * pitch
            starts[branch.node] = column, at[1]
            start = min(at[0] + length + 5, column)
            axes.plot(
                [start, column], [at[1]] * 2, color=COLOUR["faint"], linewidth=0.7, alpha=_strength(branch), zorder=1
            )
    for index, branch in enumerate(tree.branches):
        if branch.parent is not None:
            _edge(axes, starts[branch.parent], (x[index] - 41, y[index]), branch)
    return figure, titles


def _rows(tree: QueryTree, y: dict[int, float]) -> list[float]:
    """Height of every branch: leaves as given, others midway between their first and last."""
    heights = [y.get(index, 0.0) for index in range(len(tree.branches))]
    for index in reversed(range(len(tree.branches))):
        branch = tree.branches[index]
        if branch.opened:
            own = [
                heights[other]
                for other, one in enumerate(tree.branches)
                if one.parent == branch.node and other != index and one.stage == branch.stage + 1
            ]
            heights[index] = (min(own) + max(own)) / 2
    return heights


def _head(axes: Axes, models: list[str], columns: Sequence[float]) -> None:
    """The hops' names over their columns, and the models' colours above."""
    at = 12.0
    for name in models:
        axes.plot(at, 10, "o", markersize=7, color=model_colour(models.index(name)))
        axes.text(at + 8, 10, name, va="center", fontsize=10, color=COLOUR["soft"])
        at += 26 + _LETTER * 1.05 * len(name)
    for hop, column in enumerate(columns, start=1):
        axes.text(column + 9, 32, f"hop {hop}", va="center", fontsize=10, color=COLOUR["soft"])


def _strength(branch: Branch) -> float:
    return 1.0 if branch.taken or branch.reach >= 0.05 else 0.8 if branch.reach >= _FAINT else 0.6


def _edge(axes: Axes, start: tuple[float, float], end: tuple[float, float], branch: Branch) -> None:
    """A curve as wide as the branch is likely, with its probability beside."""
    middle = (start[0] + end[0]) / 2
    corners = [start, (middle, start[1]), (middle, end[1]), end]
    path = Path(corners, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
    look: dict[str, Any] = {
        "edgecolor": COLOUR["learned"] if branch.taken else COLOUR["faint"],
        "alpha": 1.0 if branch.taken else 0.3 + 0.6 * min(1.0, branch.reach),
        "linewidth": 0.6 + (3.4 if branch.taken else 2.4) * branch.probability,
        "zorder": 3 if branch.taken else 1,
    }
    axes.add_patch(PathPatch(path, facecolor="none", capstyle="round", **look))
    weight, colour = ("bold", COLOUR["learned"]) if branch.taken else ("normal", COLOUR["soft"])
    text = short_probability(branch.probability)
    kind: dict[str, Any] = {"fontsize": 9, "color": colour, "fontweight": weight, "alpha": _strength(branch)}
    axes.text(end[0] + 32, end[1], text, ha="right", va="center", **kind)


def short_probability(value: float) -> str:
    """Two decimals without the zero before the point; never rounded to certainty or to nothing."""
    if value >= 0.995:
        return "1" if value == 1 else ">.99"
    return "<.01" if value < 0.005 else f"{value:.2f}".lstrip("0")


def _node(axes: Axes, at: tuple[float, float], branch: Branch, models: list[str], room: int, gid: str) -> float:
    """A dot in the model's colour with the response, a tick where it is right, and its cost; returns its length."""
    strength, colour = _strength(branch), COLOUR["ink"] if branch.taken else COLOUR["soft"]
    weight = "bold" if branch.taken else "normal"
    if branch.stage == 0:
        axes.text(*at, "query", va="center", fontsize=10, fontweight="bold", color=COLOUR["ink"]).set_gid(gid)
        return 36.0
    if branch.more:
        label = f"+{branch.more} more"
    elif branch.model == STOP:
        label = STOP
    else:
        tail = f"{_TICK if branch.right else ' '}({formats.number(branch.cost, 1)})" + _FOLDED * branch.folded
        named = f"{branch.model} {branch.response}" if len(models) > DISTINCT else branch.response
        label = shortened(named, min(24, room - len(tail))) + tail
    if not branch.more:
        fill = model_colour(models.index(branch.model)) if branch.model in models else COLOUR["stop"]
        edge, size = (COLOUR["learned"], 9) if branch.taken else ("none", 7)
        axes.plot(*at, "o", markersize=size, markerfacecolor=fill, markeredgecolor=edge, alpha=strength, zorder=4)
    look: dict[str, Any] = {"fontsize": 9.5, "color": colour, "fontweight": weight, "alpha": strength}
    axes.text(at[0] + 9, at[1], label, va="center", zorder=4, **look).set_gid(gid)
    return 9 + _LETTER * len(label) * (1.1 if branch.taken else 1.0)


def shortened(text: str, length: int) -> str:
    """On one line, cut to a length."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: max(1, length - 1)]}\N{HORIZONTAL ELLIPSIS}"


def _title(branch: Branch, tree: QueryTree) -> str:
    if branch.stage == 0:
        return tree.query["text"]
    if branch.more:
        return f"{branch.more} less likely models, {branch.probability:.3g} together"
    chance = f"probability {branch.probability:.3g}, reached with {branch.reach:.3g}"
    if branch.model == STOP:
        return f"STOP: {chance}"
    return (
        f"{branch.model}: {branch.response}\n{'right' if branch.right else 'wrong'}, cost {branch.cost:.3g}, {chance}"
    )


def _context(tree: QueryTree, svg: str) -> Mapping[str, Any]:
    """What the page says about the picture."""
    route = [branch for branch in tree.branches if branch.taken and branch.stage]
    return {
        "router": tree.router,
        "query": tree.query,
        "answer": tree.answer,
        "right": tree.right,
        "cost": formats.number(tree.cost, 2),
        "route": " \N{RIGHTWARDS ARROW} ".join(str(branch.model) for branch in route),
        "svg": svg,
    }
