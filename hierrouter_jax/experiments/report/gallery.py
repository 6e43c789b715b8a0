"""Every figure of a report, drawn once for the page and once as PNG."""

from dataclasses import dataclass

from markupsafe import Markup
from matplotlib import rc_context

from hierrouter_jax.experiments.report import figures
from hierrouter_jax.experiments.report.inputs import RunFiles
from hierrouter_jax.experiments.report.palette import STYLE, css_variables, to_png, to_svg
from hierrouter_jax.experiments.report.plane import cost_accuracy_figure
from hierrouter_jax.experiments.report.routes import routes_figure


@dataclass(frozen=True)
class Gallery:
    """Inline SVGs for the page, PNGs for everything else."""

    svg: dict[str, list[Markup]]
    png: dict[str, bytes]
    learning_column: str


def css_theme(theme: int) -> Markup:
    """The theme's colours as CSS declarations: 0 light, 1 dark."""
    return Markup(css_variables(theme))


def draw(run: RunFiles) -> Gallery:
    """Draw a run. Sizes are CSS pixels of the page; a phone gets its own cost-accuracy plane."""
    learners = list(dict.fromkeys(run.metrics["learner"]))
    tasks = run.tasks
    with rc_context(STYLE):
        plane = cost_accuracy_figure(run, (900, 540))
        svg = {
            "learning": [
                to_svg(figures.learning_figure(run, [one], (460, 300)), f"Learning curve of {one}") for one in learners
            ],
            "diagnostics": [
                to_svg(figures.diagnostics_figure(run, one, (460, 310)), f"Training diagnostics of {one}")
                for one in learners
            ],
            "plane": [to_svg(plane, "Cost-accuracy plane of every policy")],
            "plane_narrow": [
                to_svg(cost_accuracy_figure(run, (390, 620)), "Cost-accuracy plane of every policy, narrow")
            ],
            "routes": [to_svg(routes_figure(run, [task], (360, 190)), f"Routes of task {task}") for task in tasks],
        }
        wide = max(1, len(learners))
        png = {
            "learning_curves": figures.learning_figure(run, learners, (480 * wide, 360)),
            "cost_accuracy": plane,
            "routes": routes_figure(run, tasks, (920, 200 * -(-len(tasks) // 2)), columns=2),
        }
        return Gallery(
            svg={name: [Markup(one) for one in several] for name, several in svg.items()},
            png={name: to_png(figure) for name, figure in png.items()},
            learning_column=figures.learning_column(run.metrics),
        )
