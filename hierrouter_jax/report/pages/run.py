"""The report of a run as one self-contained HTML page, with its figures and its numbers beside it."""

from math import ceil
from pathlib import Path
from typing import Any

from hierrouter_jax.errors import InputError
from hierrouter_jax.report import formats
from hierrouter_jax.report.data.headlines import (
    answered_right,
    choice_sentence,
    choose_transcripts,
    headlines,
    live_sentence,
    right_hops,
    transcript_notes,
    verdict,
)

_TINY_POOL = {"reader", "calculator", "speller"}


def build_report(run: Path) -> Path:
    """Write `report.html`, `report.json`, `figures/` and `data/*.csv` into a run folder and return the page's path.

    Nothing is asked of the run's routers: that is `build_run_page`.

    Raises:
      InputError: if the folder or one of its files is missing, unreadable or lacks a field.
    """
    from hierrouter_jax.report.data.run import read_run

    return _write(Path(run), read_run(Path(run)), {}, {}, {})


def build_run_page(
    run: Path, query: str | None = None, a: str | None = None, b: str | None = None, table: Path | None = None
) -> Path:
    """As `build_report`, with the hop tree of a query, and policies `a` and `b` query by query where either is named.

    Where nothing of this is asked for, a run whose routers or table are gone still has its page, which says so.

    Args:
      query: id of any query of the table; by default one that the router repairs.
      a: a policy of the run, by default its most accurate router, whose tree is drawn.
      b: a policy of the run.
      table: outcome table, if it is no longer where the run found it.

    Raises:
      InputError: as `build_report`, and where something that was asked for cannot be had.
    """
    from hierrouter_jax.report.data.routers import RunPolicies, Side, pair_section
    from hierrouter_jax.report.data.run import read_run
    from hierrouter_jax.report.figures.hop_tree import tree_section

    files = read_run(run)
    try:
        policies = RunPolicies(run, files, table)
        drawn = a if a in policies.routers else None
        tree = tree_section(policies.tree(query, drawn), list(policies.table.model_names))
    except InputError as error:
        if query or a or b or table:
            raise
        return _write(run, files, {"no_tree": str(error)}, {}, {})
    context: dict[str, Any] = {"tree": tree.context}
    frames, figures = {"hop_tree": tree.rows}, dict(tree.files)
    if a or b:
        one = a or policies.best
        other = b or policies.best_opponent(one)
        pair = pair_section(Side(policies, one), Side(policies, other))
        context, frames = context | {"pair": pair.context}, frames | {"differing": pair.rows}
    return _write(run, files, context, frames, figures)


def _write(
    run: Path, files: Any, more: dict[str, Any], tables: dict[str, list[dict[str, Any]]], figures: dict[str, bytes]
) -> Path:
    # matplotlib and pandas take a second to import: only who builds a page pays it.
    import pandas as pd

    from hierrouter_jax.report.data.run import run_frames
    from hierrouter_jax.report.figures.run import learning_column
    from hierrouter_jax.report.site import Site, write_site

    svg, paper = _draw(files)
    learning = {"svg": svg, "learning_column": learning_column(files.metrics).replace("_", " ")}
    context = {"tree": None, "no_tree": None, "pair": None} | _context(files) | learning | more
    numbers = {"run": files.name, "headlines": context["headlines"], "evaluation": files.evaluation}
    frames = run_frames(files) | {name: pd.DataFrame(rows) for name, rows in tables.items()}
    if more.get("pair"):
        numbers["pair"] = more["pair"]["numbers"]
    return write_site(run, Site("run.html.j2", context, frames, numbers, paper | figures))


def _draw(run: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Inline pictures, and files for paper. Sizes are CSS pixels of the page; a phone gets its own plane."""
    from matplotlib import rc_context

    from hierrouter_jax.report.figures import run as figures
    from hierrouter_jax.report.figures.plane import cost_accuracy_figure
    from hierrouter_jax.report.figures.style import DOUBLE, SINGLE, STYLE, paper_files, to_svg

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
            "routes": [
                to_svg(figures.routes_figure(run, [task], (360, 190)), f"Routes of task {task}") for task in tasks
            ],
        }
        wide = len(learners) > 1
        curves = (DOUBLE if wide else SINGLE, 230 * ceil(len(learners) / 3))
        columns = 2 if len(run.behaviour) <= 2 else 1
        paper = {
            "learning_curves": figures.learning_figure(run, learners, curves),
            "cost_accuracy": cost_accuracy_figure(run, (DOUBLE, 430)),
            "routes": figures.routes_figure(run, tasks, (DOUBLE, 170 * ceil(len(tasks) / columns)), columns),
        }
        return svg, paper_files(paper)


def _context(files: Any) -> dict[str, Any]:
    """Everything the template prints, formatted; the template decides nothing but places."""
    evaluation = files.evaluation
    deployable, tasks = formats.deployable(evaluation), files.tasks
    ceiling = formats.co_failure_ceiling(evaluation)
    learned = [row for row in deployable if row["kind"] == "learned"]
    comparisons = evaluation.get("comparisons") or []
    unit = formats.cheapest_single(evaluation)
    heat = [row for row in deployable + formats.oracles(evaluation) if row.get("per_task")]
    return {
        "title": files.name,
        "heading": f"hierrouter report \N{MIDDLE DOT} {files.name}",
        "table": evaluation["table"],
        "headlines": [*headlines(evaluation), *filter(None, [choice_sentence(evaluation)]), live_sentence(evaluation)],
        "pool": [
            {**model, "variable": _variable(model["name"], files.models)}
            for model in formats.pool_members(evaluation["table"])
        ],
        "policies": [_policy(row, evaluation) for row in deployable],
        "oracles": [_policy(row, evaluation) for row in formats.oracles(evaluation)],
        "ceiling": ceiling and {"accuracy": ceiling[0], "accuracy_ci": ceiling[1], "forest": _forest(*ceiling)},
        "seeds": [_seeds(row) for row in learned if row.get("seeds")],
        "comparisons": [_comparison(row) for row in comparisons],
        "holm": all("p_holm" in row for row in comparisons),
        "second_hops": [_second_hop(row) for row in evaluation.get("second_hop") or []],
        "mixed_metrics": any(row["metric"] != "accuracy" for row in comparisons),
        "tasks": [{"name": task, "queries": _task_queries(heat, task)} for task in tasks],
        "heat": [_heat(row, tasks) for row in heat],
        "routers": _transcripts(files),
        "record": _record(files.record),
        "unit": unit and {"name": unit["name"], "cost": formats.multiple(unit["cost"])},
        "money_unit": evaluation.get("money_unit", "money units"),
        "cost_normaliser": evaluation.get("cost_normaliser"),
        "by_construction": set(files.models) >= _TINY_POOL,
    }


def _policy(row: dict[str, Any], evaluation: dict[str, Any]) -> dict[str, Any]:
    seen, unseen = row.get("seen_templates") or {}, row.get("unseen_templates") or {}
    return {
        "name": row["name"],
        "kind": row["kind"],
        "learned": row["kind"] == "learned",
        "accuracy": row["accuracy"],
        "accuracy_ci": row.get("accuracy_ci"),
        "forest": _forest(row["accuracy"], row.get("accuracy_ci")),
        "cost": formats.multiple(formats.relative_cost(row, evaluation)),
        "money": formats.number(row.get("cost"), 3),
        "hops": formats.number(row.get("hops")),
        "repaired": row.get("repaired"),
        "damaged": row.get("damaged"),
        "gap": row.get("oracle_gap_recovered"),
        "seen": seen.get("accuracy"),
        "unseen": unseen.get("accuracy"),
        "return": formats.number(row.get("return"), 3),
    }


def _forest(accuracy: float, interval: Any) -> dict[str, str]:
    """Places of the dot and of the interval's ends in the accuracy cell, in percent of its width."""
    low, high = interval or (accuracy, accuracy)
    return {"at": f"{100 * accuracy:.2f}", "low": f"{100 * low:.2f}", "width": f"{100 * (high - low):.2f}"}


def _seeds(row: dict[str, Any]) -> dict[str, Any]:
    seeds = row["seeds"]
    return {
        "name": row["name"],
        "count": len(seeds["accuracy"]),
        "middle": seeds.get("accuracy_iqm"),
        "interval": seeds.get("accuracy_iqm_ci"),
        "low": min(seeds["accuracy"]),
        "high": max(seeds["accuracy"]),
        "chosen": seeds.get("chosen_seed"),
        "accuracy": row["accuracy"],
    }


def _comparison(row: dict[str, Any]) -> dict[str, Any]:
    points = row["metric"] == "accuracy"
    show = formats.signed_points if points else lambda value: formats.number(value, 3)
    return {
        **row,
        "difference": show(row["difference"]),
        "interval": " to ".join(show(end) for end in row["ci"]),
        "p": formats.p_value(row.get("p_holm", row.get("p_value"))),
        "cost": formats.multiple(row.get("relative_cost")),
        "verdict": verdict(row) if points else "",
    }


def _second_hop(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in ("gain", "another_try", "reading")}
    cells = [
        (formats.signed_points(one["value"]), " to ".join(formats.signed_points(end) for end in one["ci"]))
        for one in shown.values()
    ]
    return {**row, "cells": cells}


def _heat(row: dict[str, Any], tasks: list[str]) -> dict[str, Any]:
    values = [(row["per_task"].get(task) or {}).get("accuracy") for task in tasks]
    shades = [0 if value is None else round(100 * (0.04 + 0.46 * value)) for value in values]
    cells = list(zip(values, shades, strict=True))
    return {"name": row["name"], "kind": row["kind"], "cells": cells, "all": row["accuracy"]}


def _task_queries(heat: list[dict[str, Any]], task: str) -> int | None:
    return next((row["per_task"][task].get("queries") for row in heat if task in row["per_task"]), None)


def _transcripts(files: Any) -> dict[str, list[dict[str, Any]]] | None:
    """Chosen transcripts of each router, None where live routing was not run."""
    if files.live is None:
        return None
    return {
        router: [_transcript(one, files.models) for one in choose_transcripts(several)]
        for router, several in files.live.items()
    }


def _transcript(one: dict[str, Any], models: list[str]) -> dict[str, Any]:
    right = right_hops(one)
    hops = [
        {
            **hop,
            "variable": _variable(hop["model"], models),
            "right": good,
            "cost": formats.number(hop["cost"], 3),
            "probability": formats.probability(hop.get("probability")),
        }
        for hop, good in zip(one["hops"], right, strict=True)
    ]
    return {
        **one,
        "hops": hops,
        "right": answered_right(one),
        "notes": transcript_notes(one),
        "cost": formats.number(one["cost"], 3),
    }


def _variable(model: str, models: list[str]) -> str:
    from hierrouter_jax.report.figures.style import model_variable

    return model_variable(models.index(model)) if model in models else "var(--stop)"


def _record(record: dict[str, Any]) -> dict[str, Any]:
    seconds = record["seconds"]
    longest = max(seconds.values(), default=1) or 1
    peak = record.get("peak_rss_bytes")
    return {
        **record,
        "machine": ", ".join(f"{key} {value}" for key, value in record["machine"].items()),
        "peak": f"{peak / 2**30:.2f} GiB" if peak else None,
        "stages": [(name, f"{value:.1f}", round(100 * value / longest, 1)) for name, value in seconds.items()],
        "total": f"{sum(seconds.values()):.1f}",
    }
