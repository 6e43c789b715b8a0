"""One colour per model everywhere, in a light and a dark theme that an inline SVG follows.

Figures are drawn in the light theme. In the page's SVG every theme colour becomes a CSS variable of the page, so
that the same picture reads in the dark; files for papers and slides are recoloured (`paper.py`).
"""

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

# name: (light, dark); the model colours are Paul Tol's colour-blind-safe ones, lightened for the dark.
_MODEL_COLOURS = (
    ("#4477aa", "#7fadd9"),
    ("#ddaa33", "#e8c15c"),
    ("#228833", "#5fb96c"),
    ("#ee6677", "#f5929e"),
    ("#66ccee", "#8ad9f3"),
    ("#332288", "#9a8fe0"),
    ("#44aa99", "#6fc9ba"),
    ("#8c6d52", "#c2a285"),
    ("#999933", "#c0c066"),
)
DISTINCT = len(_MODEL_COLOURS)  # of more models some look alike
# What is compared has colours of its own, so that no arm is taken for a model.
_ARM_COLOURS = (
    ("#1d4ed8", "#7fa5f8"),
    ("#c2410c", "#f28a52"),
    ("#0f766e", "#4fc3b5"),
    ("#6d28d9", "#b394f4"),
    ("#be123c", "#f4718c"),
    ("#4d7c0f", "#a5cf5a"),
    ("#a16207", "#dfb34b"),
    ("#475569", "#a3b1c4"),
)
_ARM_MARKERS = "osD^vPXh"
_THEME = {
    "ink": ("#1b1f24", "#e6e8eb"),
    "soft": ("#5b636e", "#a3abb6"),
    "faint": ("#717984", "#848c97"),
    "grid": ("#e3e6ea", "#2b3036"),
    "paper": ("#fffffe", "#14171b"),
    "stop": ("#c3c8cf", "#4a5159"),
    "learned": ("#aa3377", "#e58bbd"),
    "on-dark": ("#fffffd", "#14171c"),
    "on-light": ("#1b1f25", "#14171d"),
    **{f"model-{index}": pair for index, pair in enumerate(_MODEL_COLOURS)},
    **{f"arm-{index}": pair for index, pair in enumerate(_ARM_COLOURS)},
}
_DARK_FILLS = frozenset({"#4477aa", "#228833", "#332288", "#8c6d52"})
COLOUR = {name: light for name, (light, _) in _THEME.items()}
DARK = dict(_THEME.values())  # what each light colour is in the dark
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.color": COLOUR["ink"],
    "axes.labelcolor": COLOUR["soft"],
    "axes.edgecolor": COLOUR["faint"],
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "grid.color": COLOUR["grid"],
    "grid.linewidth": 0.8,
    "xtick.color": COLOUR["soft"],
    "ytick.color": COLOUR["soft"],
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.frameon": False,
    "svg.fonttype": "none",
}

PIXEL = 1 / 72  # inches of one CSS pixel of the page: fonts then have their size in pixels
ON_A_LINE: dict[str, Any] = {
    "xycoords": ("axes fraction", "data"),
    "textcoords": "offset points",
    "fontsize": 10,
    "color": COLOUR["soft"],
}


def canvas(size: tuple[float, float], **options: Any) -> Figure:
    """An empty figure of a size in pixels of the page."""
    return Figure(figsize=(size[0] * PIXEL, size[1] * PIXEL), **options)


def model_colour(index: int) -> str:
    return COLOUR[f"model-{index % len(_MODEL_COLOURS)}"]


def arm_look(index: int) -> dict[str, Any]:
    """Colour and marker of what is compared, by its position."""
    return {
        "color": COLOUR[f"arm-{index % len(_ARM_COLOURS)}"],
        "marker": _ARM_MARKERS[index % len(_ARM_MARKERS)],
        "linestyle": "-" if index < len(_ARM_COLOURS) else "--",
    }


def arm_variable(index: int) -> str:
    return f"var(--arm-{index % len(_ARM_COLOURS)})"


def text_on(fill: str) -> str:
    """Ink that reads on a model's colour."""
    return COLOUR["on-dark"] if fill in _DARK_FILLS else COLOUR["on-light"]


def css_variables(theme: int) -> str:
    """Declarations of the theme's colours: 0 light, 1 dark."""
    return " ".join(f"--{name}: {pair[theme]};" for name, pair in _THEME.items())


def model_variable(index: int) -> str:
    return f"var(--model-{index % len(_MODEL_COLOURS)})"


def to_svg(figure: Figure, label: str, titles: Mapping[str, str] | None = None) -> str:
    """A figure as an inline SVG that follows the page's theme and width.

    Args:
      label: read to the blind, and unique on the page.
      titles: what the artist with that gid says when pointed at.
    """
    buffer = io.StringIO()
    with rc_context({**STYLE, "svg.hashsalt": label}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style type=.*?</style>", "", svg, flags=re.DOTALL)
    width, height = (72 * side for side in figure.get_size_inches())
    opening = f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {width:g} {height:g}" '
    svg = re.sub(r"<svg\b[^>]*", lambda _: f'{opening}style="max-width:{1.2 * width:g}px"', svg, count=1)
    for gid, title in (titles or {}).items():
        svg = svg.replace(f'<g id="{gid}">', f"<g><title>{escape(title, quote=False)}</title>", 1)
    used = set(re.findall(r"#([\w-]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", svg)
    for name, colour in COLOUR.items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg


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
