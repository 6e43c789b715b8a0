"""The page of an estimate from a log: every estimator's interval beside the truth, and the overlap of both policies."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from hierrouter_jax.report import formats
from hierrouter_jax.report.data.run import need, need_each, need_some, read_object
from hierrouter_jax.report.figures.compare import interval_row, label_rows
from hierrouter_jax.report.figures.style import COLOUR, DOUBLE, STYLE, arm_look, canvas, paper_files, to_svg
from hierrouter_jax.report.site import Site, write_site

ESTIMATE = "estimate.json"
METRICS = ("return", "accuracy", "cost")
_TOP = (
    "name",
    "answers",
    "reasons",
    "logging",
    "estimators",
    "estimator",
    "diagnostics",
    "episodes",
    "warnings",
    "truth",
    "money_unit",
    "cost_weight",
    "cost_normaliser",
)
_DIAGNOSTICS = ("actions", "overlap", "drift", "effective_sample", "effective_wrong", "mean_weight")


def build_estimate_page(folder: Path) -> Path:
    """Write `report.html`, `report.json`, `figures/` and `data/*.csv` into the folder of an estimate.json.

    Raises:
      InputError: if estimate.json is missing, unreadable or lacks a field.
    """
    folder = Path(folder)
    result = read_object(folder / ESTIMATE, *_TOP)
    _check(result, str(folder / ESTIMATE))
    return write_site(folder, _site(folder.resolve().name, result))


def _check(result: dict[str, Any], path: str) -> None:
    """Refuse an estimate that lacks what the page shows."""
    its = result["diagnostics"]
    need(result["episodes"], ("used",), f"{path}: 'episodes'")
    need(its, _DIAGNOSTICS, f"{path}: 'diagnostics'")
    need(its["mean_weight"], ("value",), f"{path}: diagnostics.mean_weight")
    need_some(its, ("actions",), f"{path}: 'diagnostics'")
    need_each(its["actions"], ("stage", "action", "logged", "target"), f"{path}: diagnostics.actions")
    need_each(its["overlap"], ("task", "stage", "decisions", "never_taken"), f"{path}: diagnostics.overlap")
    need(its["drift"], ("periods",), f"{path}: diagnostics.drift")
    need_each(its["drift"]["periods"], ("episodes", "value", "ci"), f"{path}: diagnostics.drift.periods")
    need_each(result["estimators"], ("name",), f"{path}: estimators")
    metrics = {f"estimators[{at}]": row for at, row in enumerate(result["estimators"])} | {"logging": result["logging"]}
    if result["answers"]:
        need(result, ("estimate", "difference"), path)
        metrics |= {name: result[name] for name in ("estimate", "difference")}
    else:
        need_some(result, ("reasons",), path)
    for place, row in metrics.items():
        need(row, METRICS, f"{path}: {place}")
        for metric in METRICS:
            need(row[metric], ("value", "ci"), f"{path}: {place}.{metric}")
    if result["truth"]:
        need(result["truth"], METRICS, f"{path}: 'truth'")


def _site(name: str, result: dict[str, Any]) -> Site:
    with rc_context(STYLE):
        svg = {
            "estimates": to_svg(_estimates(result, (920, 330)), f"What the log says of {result['name']}"),
            "overlap": to_svg(_overlap(result, (920, 260)), "What was taken, and what the policy takes"),
        }
        files = paper_files(
            {"estimates": _estimates(result, (DOUBLE, 280)), "overlap": _overlap(result, (DOUBLE, 220))}
        )
    headlines = _headlines(result)
    rows = [("served: the mean of the log", result["logging"])]
    rows += [(result["name"], result["estimate"]), ("difference", result["difference"])] if result["answers"] else []
    rows += [("truth", {m: {"value": result["truth"][m], "ci": None} for m in METRICS})] if result["truth"] else []
    context = {
        "title": name,
        "heading": f"hierrouter estimate \N{MIDDLE DOT} {name}",
        "headlines": headlines,
        "svg": svg,
        "result": result,
        "rows": rows,
        "metrics": METRICS,
        "sentences": [*result["reasons"], *result["warnings"]],
        "lacking": [row for row in result["diagnostics"]["overlap"] if row["never_taken"]],
    }
    return Site("estimate.html.j2", context, _frames(result), {"name": name, "headlines": headlines}, files)


def _headlines(result: dict[str, Any]) -> list[str]:
    used, effective = result["episodes"]["used"], result["diagnostics"]["effective_sample"]
    of = f"{used:,} episodes, worth {effective:,.0f} of the policy's own"
    if not result["answers"]:
        return [f"The log cannot say what {result['name']} would reach: {result['reasons'][0]}.", f"It holds {of}."]
    value, difference = result["estimate"]["return"], result["difference"]["return"]
    return [
        f"{result['name']} would reach a return of {value['value']:.3f} ({value['ci'][0]:.3f} to "
        f"{value['ci'][1]:.3f}); what was served reached {result['logging']['return']['value']:.3f}.",
        f"The paired difference is {formats.signed_points(difference['value'])} points "
        f"({formats.signed_points(difference['ci'][0])} to {formats.signed_points(difference['ci'][1])}), from {of}.",
    ]


def _estimates(result: dict[str, Any], size: tuple[float, float]) -> Figure:
    """A panel a metric, a row an estimator with its interval; the truth and the mean of the log as lines."""
    figure = canvas(size, layout="constrained")
    panels = figure.subplots(1, len(METRICS), squeeze=False, sharey=True)[0]
    for axes, metric in zip(panels, METRICS, strict=True):
        scale = 100 if metric == "accuracy" else 1
        for at, row in enumerate(result["estimators"]):
            own = row["name"] == result["estimator"] and result["answers"]
            ends = row[metric]["ci"] and [scale * end for end in row[metric]["ci"]]
            look = arm_look(0) if own else {**arm_look(0), "color": COLOUR["faint"]}
            interval_row(axes, at, scale * row[metric]["value"], ends, look)
        axes.axvline(scale * result["logging"][metric]["value"], color=COLOUR["faint"], linestyle=":", linewidth=1.2)
        if result["truth"]:
            axes.axvline(scale * result["truth"][metric], color=COLOUR["learned"], linewidth=1.2)
        axes.set_xlabel("accuracy, %" if metric == "accuracy" else metric)
    label_rows(panels[0], [row["name"] for row in result["estimators"]])
    for axes in panels[1:]:
        axes.tick_params(axis="y", length=0, labelleft=False)
        axes.grid(visible=False, axis="y")
    return figure


def _overlap(result: dict[str, Any], size: tuple[float, float]) -> Figure:
    """A panel a stage: how often each action was taken, and how often the policy takes it."""
    rows = result["diagnostics"]["actions"]
    stages = sorted({row["stage"] for row in rows})
    figure = canvas(size, layout="constrained")
    panels = figure.subplots(1, len(stages), squeeze=False, sharey=True)[0]
    for axes, stage in zip(panels, stages, strict=True):
        here = [row for row in rows if row["stage"] == stage]
        for kind, shift, colour in (("logged", -0.2, COLOUR["faint"]), ("target", 0.2, arm_look(0)["color"])):
            places = [at + shift for at in range(len(here))]
            axes.barh(places, [100 * row[kind] for row in here], height=0.36, color=colour, label=kind)
        axes.set_title(f"hop {stage + 1}", fontsize=10.5)
        axes.set_xlabel("% of decisions")
        axes.set_xlim(0, 100)
        label_rows(axes, [row["action"] for row in here])
    panels[0].legend(["served", "the policy"], fontsize=9, frameon=False, labelcolor=COLOUR["soft"])
    return figure


def _frames(result: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Every number of the page as tables, fractions as they are and costs in the policy's money unit."""
    estimators = [
        {"estimator": row["name"]}
        | {metric: row[metric]["value"] for metric in METRICS}
        | {
            f"{metric}_{end}": (row[metric]["ci"] or [None, None])[place]
            for metric in METRICS
            for place, end in enumerate(("low", "high"))
        }
        for row in result["estimators"]
    ]
    its = result["diagnostics"]
    overlap = [{**row, "never_taken": " ".join(row["never_taken"])} for row in its["overlap"]]
    drift = [
        {"period": at, "episodes": row["episodes"], "return": row["value"], "low": row["ci"][0], "high": row["ci"][1]}
        for at, row in enumerate(its["drift"]["periods"])
    ]
    tables = {"estimators": estimators, "actions": its["actions"], "overlap": overlap, "drift": drift}
    return {name: pd.DataFrame(rows) for name, rows in tables.items()}
