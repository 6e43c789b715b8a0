"""The page of a leaderboard: each table's ranking with intervals and verdicts, its cost-quality plane and its tasks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json
from hierrouter_jax.report import formats

_FILE, _SCHEMA = "leaderboard.json", ("boards", "record")
_MARKERS = {"learned": "o", "single": "s", "sequence": "D", "supervised": "^", "cascade": "P", "random": "X"}


def build_leaderboard_page(folder: Path) -> Path:
    """Write `report.html`, `report.json`, `figures/` and `data/*.csv` into the folder of a leaderboard.json.

    Raises:
      InputError: if leaderboard.json is missing, unreadable or lacks a field.
    """
    from hierrouter_jax.report.site import Site, write_site

    folder = Path(folder)
    found = read_json(folder / _FILE)
    for name in _SCHEMA:
        if not isinstance(found, dict) or name not in found:
            raise InputError(f"{folder / _FILE}: {name} is missing; run 'hierrouter leaderboard' again")
    boards, figures = [], {}
    for at, board in enumerate(found["boards"]):
        svg, files = _draw(board, at)
        figures |= files
        boards.append(_board(board, at) | {"svg": svg})
    name = folder.resolve().name
    context = {
        "title": name,
        "heading": f"hierrouter leaderboard \N{MIDDLE DOT} {name}",
        "headlines": [f"{board['name']}: {board['headline']['sentence']}" for board in found["boards"]],
        "boards": boards,
        "record": [(key.replace("_", " "), value) for key, value in found["record"].items()],
    }
    numbers = {"name": name, "headlines": context["headlines"]}
    return write_site(folder, Site("leaderboard.html.j2", context, _frames(found["boards"]), numbers, figures))


def _board(board: dict[str, Any], at: int) -> dict[str, Any]:
    unit = _unit(board)
    return {
        "name": board["name"],
        "at": at,
        "headline": board["headline"],
        "split": board["split"],
        "table": board["table"],
        "cost_weight": f"{board['cost_weights'][0]:g}",
        "cost_weights": ", ".join(f"{weight:g}" for weight in board["cost_weights"]),
        "money_unit": board["money_unit"],
        "ceiling": 1 - board["co_failure"]["value"],
        "ceiling_ci": [1 - end for end in reversed(board["co_failure"]["ci"])],
        "left_out": board["left_out"],
        "two_models": any(row.get("apgr") is not None for row in board["policies"]),
        "tasks": list(board["policies"][0]["per_task"]),
        "rows": [
            {
                **row,
                "learned": row["kind"] == "learned",
                "ours": row["name"] == "ours",
                "relative": formats.multiple(row["cost"] / unit if unit else None),
                "money": formats.number(row["cost"], 4),
                "gap": _metric(row, "oracle_gap_recovered"),
                "saving": _metric(row, "cost_saving"),
                "aiq_told": _metric(row, "aiq"),
                "two_models_told": [
                    _told(row.get("apgr"), row.get("apgr_ci")),
                    *(
                        _told((row.get("cpt") or {}).get(percent), (row.get("cpt_ci") or {}).get(percent))
                        for percent in ("50", "80")
                    ),
                ],
                "against": row["ours_against"],
            }
            for row in board["policies"]
        ],
    }


def _metric(row: dict[str, Any], name: str) -> dict[str, str]:
    found = row.get(name) or {}
    return _told(found.get("value"), found.get("ci"), formats.percent)


def _told(
    value: float | None, ends: list[float | None] | None, show: Callable[[float | None], str] = formats.number
) -> dict[str, str]:
    """A metric with its interval; an end is open where too many resamples have no value."""
    return {"value": show(value), "ci": " to ".join("open" if end is None else show(end) for end in ends or ())}


def _unit(board: dict[str, Any]) -> float | None:
    """Cost of the cheapest single model."""
    names = {member["name"] for member in board["table"]["pool"]}
    return min((row["cost"] for row in board["policies"] if row["name"] in names and row["cost"] > 0), default=None)


def _draw(board: dict[str, Any], at: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Inline pictures, and files for paper."""
    from markupsafe import Markup
    from matplotlib import rc_context

    from hierrouter_jax.report.figures.palette import STYLE, to_svg
    from hierrouter_jax.report.figures.paper import DOUBLE, paper_files

    with rc_context(STYLE):
        svg = {
            "plane": Markup(to_svg(plane_figure(board, (920, 480)), f"Cost and accuracy on {board['name']}")),
            "plane_narrow": Markup(to_svg(plane_figure(board, (390, 560)), f"Cost and accuracy, {board['name']}")),
        }
        return svg, paper_files({f"plane_{at}": plane_figure(board, (DOUBLE, 350))})


def plane_figure(board: dict[str, Any], size: tuple[float, float]) -> Any:
    """Every participant by cost and accuracy with both intervals; one of several cost weights is a line of points."""
    from matplotlib.ticker import PercentFormatter

    from hierrouter_jax.report.figures.palette import COLOUR, canvas, model_colour, place_labels
    from hierrouter_jax.report.figures.plane import _cost_axis

    figure = canvas(size, layout="constrained")
    axes = figure.subplots()
    unit = _unit(board) or 1.0
    models = [member["name"] for member in board["table"]["pool"]]
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
    _cost_axis(axes, [row["cost"] / unit for row in shown])
    ends = [end for row in shown for end in (*row["accuracy_ci"], row["accuracy"])]
    axes.set_ylim(max(-0.02, min(ends) - 0.03), min(1.05, max(ends) + 0.04))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_ylabel("accuracy")
    axes.set_xlabel("cost of a query, the cheapest model's as 1")
    places: dict[tuple[float, float], list[dict[str, Any]]] = {}
    for row in shown:
        places.setdefault((round(row["cost"] / unit, 3), round(row["accuracy"], 4)), []).append(row)
    texts = [" =\n".join(row["name"] for row in group) for group in places.values()]
    weights = ["bold" if any(row["name"] == "ours" for row in group) else "normal" for group in places.values()]
    place_labels(axes, list(places), texts, weights)
    return figure


def _frames(boards: list[dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """Every number of the page as tables, fractions as they are and costs in the table's money unit."""
    policies, points, tasks, splits, comparisons = [], [], [], [], []
    for board in boards:
        comparisons += [{"table": board["name"], **_ends(row)} for row in board["comparisons"]]
        for row in board["policies"]:
            of = {"table": board["name"], "policy": row["name"]}
            flat = {key: value for key, value in row.items() if not isinstance(value, dict | list)}
            for name, value in row.items():
                if isinstance(value, dict) and set(value) == {"value", "ci"}:
                    flat |= {name: value["value"], f"{name}_low": value["ci"][0], f"{name}_high": value["ci"][1]}
            intervals = {name: row[name] for name in ("accuracy_ci", "cost_ci", "return_ci", "apgr_ci") if name in row}
            for percent, value in (row.get("cpt") or {}).items():
                intervals |= {f"cpt_{percent}": value, f"cpt_{percent}_ci": row["cpt_ci"][percent]}
            policies.append({"table": board["name"], **flat, **_ends(intervals)})
            points += [{**of, **_ends(point)} for point in row["points"]]
            tasks += [{**of, "task": task, **_ends(value)} for task, value in row["per_task"].items()]
            splits += [{**of, "split": at, "accuracy": value} for at, value in enumerate(row["accuracy_by_split"])]
    together = {"policies": policies, "points": points, "tasks": tasks, "splits": splits, "comparisons": comparisons}
    return {name: pd.DataFrame(rows) for name, rows in together.items()}


def _ends(row: dict[str, Any]) -> dict[str, Any]:
    """Intervals as two columns."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name == "ci" or name.endswith("_ci"):
            start = name.removesuffix("ci")
            found |= {f"{start}low": value[0], f"{start}high": value[1]}
        else:
            found[name] = value
    return found
