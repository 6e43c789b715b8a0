"""Several runs on one page: their policies in one table, one plane and one set of curves, and an A/B of two."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from hierrouter_jax.errors import InputError
from hierrouter_jax.report import formats
from hierrouter_jax.report.data.headlines import headlines
from hierrouter_jax.report.data.routers import RunPolicies, Side, check_same_evaluation, evaluated_on, pair_section
from hierrouter_jax.report.data.run import RunFiles, curves_frame, read_run, run_frames
from hierrouter_jax.report.figures.plane import by_point, front_points, place_labels
from hierrouter_jax.report.figures.run import learning_column
from hierrouter_jax.report.figures.style import (
    COLOUR,
    DOUBLE,
    PERCENT,
    STYLE,
    arm_look,
    arm_variable,
    canvas,
    paper_files,
    to_svg,
)
from hierrouter_jax.report.site import Site, write_site

_TABLES = ("policies", "comparisons", "per_task", "seeds", "routes", "curves")


def build_several_page(runs: Sequence[Path], out: Path, a: str | None = None, b: str | None = None) -> Path:
    """Write one report of several runs into the folder `out`.

    Args:
      a: a policy of the first run, by default its most accurate router.
      b: a policy of the second run.

    Raises:
      InputError: if a run's files are not right, or `a` or `b` is asked for where the first two cannot be compared.
    """
    several = [read_run(Path(run)) for run in runs]
    names = _distinct(several, runs)
    context: dict[str, Any] = {"pair": None, "no_pair": None}
    tables = [run_frames(files) for files in several]
    frames = {table: _together(tables, names, table) for table in _TABLES}
    numbers: dict[str, Any] = {"runs": dict(zip(names, map(str, runs), strict=True))}
    try:
        check_same_evaluation((runs[0], several[0].evaluation), (runs[1], several[1].evaluation))
        sides = [RunPolicies(Path(run), files) for run, files in zip(runs[:2], several[:2], strict=True)]
        one, other = (
            Side(side, name or side.best, label) for side, name, label in zip(sides, (a, b), names, strict=False)
        )
        pair = pair_section(one, other)
        context["pair"], numbers["pair"] = pair.context, pair.context["numbers"]
        frames["differing"] = pd.DataFrame(pair.rows)
    except InputError as error:
        if a or b:
            raise
        context["no_pair"] = str(error)
    with rc_context(STYLE):
        drawn = {"curves": _curves(several, names, (920, 400)), "plane": _plane(several, names, (920, 500))}
        svg = {name: to_svg(figure, f"{name} of several runs") for name, figure in drawn.items()}
        paper = {
            "learning_curves": _curves(several, names, (DOUBLE, 300)),
            "cost_accuracy": _plane(several, names, (DOUBLE, 400)),
        }
        files = paper_files(paper)
    context |= _context(several, names) | {"svg": svg}
    if context["pair"]:
        context["headlines"].insert(0, context["pair"]["sentence"])
    return write_site(out, Site("several.html.j2", context, frames, numbers, files))


def _distinct(several: Sequence[RunFiles], runs: Sequence[Path]) -> list[str]:
    """The folders' names, or their paths where two are named alike."""
    names = [files.name for files in several]
    return names if len(set(names)) == len(names) else [str(run) for run in runs]


def _together(tables: Sequence[dict[str, pd.DataFrame]], names: Sequence[str], table: str) -> pd.DataFrame:
    """One table of every run, with the run's name in its last column."""
    parts = [its[table].assign(run=name) for its, name in zip(tables, names, strict=True) if not its[table].empty]
    return pd.concat(parts) if parts else pd.DataFrame()


def _lines(several: Sequence[RunFiles], names: Sequence[str]) -> list[tuple[int, str, RunFiles, str]]:
    """A number, a label, the run and the learner of every learner of every run."""
    pairs = [
        (name, files, learner)
        for name, files in zip(names, several, strict=True)
        for learner in files.metrics["learner"].unique()
    ]
    return [(index, f"{name}: {learner}", files, learner) for index, (name, files, learner) in enumerate(pairs)]


def _curves(several: Sequence[RunFiles], names: Sequence[str], size: tuple[float, float]) -> Figure:
    """Interquartile mean over seeds of every learner of every run, over one another, with the middle half."""
    figure = canvas(size, layout="constrained")
    axes, handles, ends = figure.subplots(), [], []
    column = learning_column(pd.concat([files.metrics for files in several]))
    for index, label, files, learner in _lines(several, names):
        curve = curves_frame(files.metrics)
        curve = curve[(curve["learner"] == learner) & (curve["metric"] == column)]
        if curve.empty:
            continue
        look = arm_look(index)
        axes.fill_between(
            curve["env_steps"], curve["quartile_1"], curve["quartile_3"], color=look["color"], alpha=0.15, lw=0
        )
        axes.plot(curve["env_steps"], curve["iqm"], linewidth=1.8, color=look["color"], linestyle=look["linestyle"])
        handles.append(Line2D([], [], linewidth=1.8, color=look["color"], linestyle=look["linestyle"], label=label))
        ends.append(curve["env_steps"].max())
    axes.set_xlabel("environment steps")
    axes.set_ylabel(column.replace("_", " "))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if column == "validation_accuracy":
        axes.yaxis.set_major_formatter(PERCENT)
    figure.legend(handles=handles, loc="outside upper left", ncols=3, fontsize=10, labelcolor=COLOUR["soft"])
    return figure


def _plane(several: Sequence[RunFiles], names: Sequence[str], size: tuple[float, float]) -> Figure:
    """Learned routers of every run by cost and accuracy, in colour and named; the first run's opponents in grey."""
    figure = canvas(size, layout="constrained")
    axes = figure.subplots()
    unit = formats.cheapest_single(several[0].evaluation)
    scale = unit["cost"] if unit else 1.0
    order = {(id(files), learner): index for index, _, files, learner in _lines(several, names)}
    points, texts, weights = [], [], []
    for files, name in zip(several, names, strict=True):
        for row in formats.deployable(files.evaluation):
            if row["kind"] == "learned":
                look = arm_look(order.get((id(files), row["name"]), 0))
                at = (row["cost"] / scale, row["accuracy"])
                if row.get("front"):
                    front = front_points((point["cost"] / scale, point["accuracy"]) for point in row["front"])
                    axes.plot(*zip(*front, strict=True), color=look["color"], linewidth=1.4, zorder=2)
                axes.plot([at[0]] * 2, row["accuracy_ci"], color=look["color"], linewidth=1, alpha=0.55)
                axes.plot(*at, look["marker"], color=look["color"], markersize=8, zorder=4)
                points.append(at)
                texts.append(f"{name}: {row['name']}")
                weights.append("bold")
    others = formats.deployable(several[0].evaluation) + formats.oracles(several[0].evaluation)
    merged = by_point((row for row in others if row["kind"] != "learned" and row.get("cost") is not None), scale)
    for at in merged:
        axes.plot(*at, "o", color=COLOUR["faint"], markersize=5, zorder=1)
    points, weights = [*points, *merged], [*weights, *["normal"] * len(merged)]
    texts += [" =\n".join(row["name"] for row in rows) for rows in merged.values()]
    axes.set_xlim(0, 1.12 * max(x for x, _ in points))
    axes.set_ylim(max(-0.02, min(y for _, y in points) - 0.07), min(1.06, max(y for _, y in points) + 0.08))
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_ylabel("accuracy")
    axes.set_xlabel(f"cost of a query, in units of {unit['name']}" if unit else "cost of a query")
    place_labels(axes, points, texts, weights)
    return figure


def _context(several: Sequence[RunFiles], names: Sequence[str]) -> dict[str, Any]:
    unit = formats.cheapest_single(several[0].evaluation)
    rows = [
        {**row, "run": name, "relative": formats.multiple(formats.relative_cost(row, several[0].evaluation))}
        for files, name in zip(several, names, strict=True)
        for row in formats.deployable(files.evaluation)
    ]
    rows.sort(key=lambda row: (-row["accuracy"], row["cost"]))
    colours = {label: arm_variable(index) for index, label, _, _ in _lines(several, names)}
    for row in rows:
        row["colour"] = colours.get(f"{row['run']}: {row['name']}", "var(--stop)")
    return {
        "title": " and ".join(names),
        "heading": f"hierrouter report \N{MIDDLE DOT} {' and '.join(names)}",
        "headlines": [f"{name}: {headlines(files.evaluation)[0]}" for files, name in zip(several, names, strict=True)],
        "table": several[0].evaluation["table"],
        "same": all(evaluated_on(files.evaluation) == evaluated_on(several[0].evaluation) for files in several),
        "learned": [row for row in rows if row["kind"] == "learned"],
        "others": [row for row in rows if row["kind"] != "learned"],
        "unit": unit and unit["name"],
        "records": [
            {"run": name, "command": files.record["command"], "table": files.evaluation["table"]}
            for files, name in zip(several, names, strict=True)
        ],
    }
