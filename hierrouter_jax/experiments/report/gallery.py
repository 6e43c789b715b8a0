"""Every figure of a run, drawn for the page and for paper."""

from dataclasses import dataclass
from math import ceil

from markupsafe import Markup
from matplotlib import rc_context

from hierrouter_jax.experiments.report import figures
from hierrouter_jax.experiments.report.inputs import RunFiles
from hierrouter_jax.experiments.report.palette import STYLE, to_svg
from hierrouter_jax.experiments.report.paper import DOUBLE, SINGLE, paper_files
from hierrouter_jax.experiments.report.plane import cost_accuracy_figure
from hierrouter_jax.experiments.report.routes import routes_figure


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
                to_svg(figures.learning_figure(run, [one], (460, 300)), f"Learning curve of {one}") for one in learners
            ],
            "diagnostics": [
                to_svg(figures.diagnostics_figure(run, one, (460, 310)), f"Training diagnostics of {one}")
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
            "learning_curves": figures.learning_figure(run, learners, curves),
            "cost_accuracy": cost_accuracy_figure(run, (DOUBLE, 430)),
            "routes": routes_figure(run, tasks, (DOUBLE, 170 * ceil(len(tasks) / columns)), columns),
        }
        return Gallery(
            svg={name: [Markup(one) for one in several] for name, several in svg.items()},
            files=paper_files(paper),
            learning_column=figures.learning_column(run.metrics),
        )
