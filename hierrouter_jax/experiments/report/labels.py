"""Labels of a scatter plot placed so that they cover neither each other nor a mark nor a line."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation

from hierrouter_jax.experiments.report.palette import COLOUR

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
