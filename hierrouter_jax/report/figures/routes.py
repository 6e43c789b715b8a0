"""Which routes each task takes, stage by stage."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from typing import Any, Protocol

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hierrouter_jax.report.data.run import RunFiles
from hierrouter_jax.report.figures import learning
from hierrouter_jax.report.figures.palette import COLOUR, STYLE, canvas, model_colour, text_on, to_svg
from hierrouter_jax.report.figures.paper import DOUBLE, SINGLE, paper_files
from hierrouter_jax.report.figures.plane import cost_accuracy_figure

_LETTER = 0.58  # mean width of a letter in font sizes
_LABELLED = 0.07  # routes of a smaller share get no number
_NAMED = 0.16  # blocks of a smaller share get no name


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


@dataclass(frozen=True)
class Gallery:
    """Inline SVGs for the page, files for everything else."""

    svg: dict[str, list[Markup]]
    files: dict[str, bytes]
    learning_column: str


def draw(run: RunFiles) -> Gallery:
    """Draw a run. Sizes are CSS pixels of the page; a phone gets its own cost-accuracy plane."""
    learners = list(dict.fromkeys(run.metrics["learner"]))
    tasks = run.tasks
    with rc_context(STYLE):
        svg = {
            "learning": [
                to_svg(learning.learning_figure(run, [one], (460, 300)), f"Learning curve of {one}") for one in learners
            ],
            "diagnostics": [
                to_svg(learning.diagnostics_figure(run, one, (460, 310)), f"Training diagnostics of {one}")
                for one in learners
            ],
            "plane": [to_svg(cost_accuracy_figure(run, (900, 540)), "Cost-accuracy plane of every policy")],
            "plane_narrow": [
                to_svg(cost_accuracy_figure(run, (390, 620)), "Cost-accuracy plane of every policy, narrow")
            ],
            "routes": [to_svg(routes_figure(run, [task], (360, 190)), f"Routes of task {task}") for task in tasks],
        }
        wide = len(learners) > 1
        curves = (DOUBLE if wide else SINGLE, 230 * ceil(len(learners) / 3))
        columns = 2 if len(run.behaviour) <= 2 else 1
        paper = {
            "learning_curves": learning.learning_figure(run, learners, curves),
            "cost_accuracy": cost_accuracy_figure(run, (DOUBLE, 430)),
            "routes": routes_figure(run, tasks, (DOUBLE, 170 * ceil(len(tasks) / columns)), columns),
        }
        return Gallery(
            svg={name: [Markup(one) for one in several] for name, several in svg.items()},
            files=paper_files(paper),
            learning_column=learning.learning_column(run.metrics),
        )
