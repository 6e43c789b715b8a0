"""The page of a leaderboard: each table's ranking with intervals and verdicts, its cost-quality plane and its tasks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hierrouter_jax.report import formats

_FILE = "leaderboard.json"
_BOARD = ("name", "table", "split", "money_unit", "co_failure", "left_out", "comparisons", "headline")
_ROW = ("name", "kind", "tried", "accuracy", "accuracy_ci", "cost", "cost_ci", "accuracy_by_split", "ours_against")
_PARTS = {
    "table": ("queries", "tasks", "pool", "horizon"),
    "split": ("kind", "count", "train", "validation", "test", "duplicate_queries"),
    "co_failure": ("value", "ci"),
    "headline": ("sentence",),
}
_CONTROL = ("policy", "kind", "control", "accuracy", "beside", "chance", "difference", "ci", "p_holm", "leaks")


def build_leaderboard_page(folder: Path) -> Path:
    """Write `report.html`, `report.json`, `figures/` and `data/*.csv` into the folder of a leaderboard.json.

    Raises:
      InputError: if leaderboard.json is missing, unreadable or lacks a field.
    """
    from hierrouter_jax.report.data.run import need_some, read_object
    from hierrouter_jax.report.site import Site, write_site

    folder = Path(folder)
    result = read_object(folder / _FILE, "boards", "record")
    need_some(result, ("boards",), str(folder / _FILE))
    for at, board in enumerate(result["boards"]):
        _check(board, f"{folder / _FILE}: boards[{at}]")
    boards, figures = [], {}
    for at, board in enumerate(result["boards"]):
        svg, files = _draw(board, at)
        figures |= files
        boards.append(_board(board, at) | {"svg": svg})
    name = folder.resolve().name
    context = {
        "title": name,
        "heading": f"hierrouter leaderboard \N{MIDDLE DOT} {name}",
        "headlines": [f"{board['name']}: {sentence}" for board in result["boards"] for sentence in _sentences(board)],
        "boards": boards,
        "controls": any(board["controls"] for board in boards),
        "record": [(key.replace("_", " "), value) for key, value in result["record"].items()],
    }
    numbers = {"name": name, "headlines": context["headlines"]}
    return write_site(folder, Site("leaderboard.html.j2", context, _frames(result["boards"]), numbers, figures))


def _check(board: Any, place: str) -> None:
    """Refuse a board that lacks what the page shows."""
    from hierrouter_jax.report.data.run import need, need_each, need_some

    need(board, _BOARD, place)
    need_some(board, ("policies", "cost_weights"), place)
    for part, keys in _PARTS.items():
        need(board[part], keys, f"{place}.{part}")
    if board.get("controls"):
        need(board["controls"], ("sentence", "rows"), f"{place}.controls")
        need_each(board["controls"]["rows"], _CONTROL, f"{place}.controls.rows")
    need_each(board["policies"], _ROW, f"{place}.policies")
    for index, row in enumerate(board["policies"]):
        where = f"{place}.policies[{index}]"
        need_some(row, ("points", "per_task"), where)
        need_each(row["points"], ("cost", "accuracy"), f"{where}.points")
        need(row["per_task"], tuple(board["policies"][0]["per_task"]), f"{where}.per_task")
        for task, value in row["per_task"].items():
            need(value, ("accuracy", "accuracy_ci"), f"{where}.per_task[{task!r}]")
        if row["ours_against"]:
            need(row["ours_against"], ("difference", "ci", "p_holm", "verdict"), f"{where}.ours_against")
        if row["name"] == "ours":
            need(row, ("chosen",), where)


def _sentences(board: dict[str, Any]) -> list[str]:
    """What a board says, and what its controls say where it has any."""
    controls = board.get("controls")
    return [board["headline"]["sentence"], *([controls["sentence"]] if controls else [])]


def _board(board: dict[str, Any], at: int) -> dict[str, Any]:
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
        "controls": board.get("controls"),
        "two_models": any(row.get("apgr") is not None for row in board["policies"]),
        "tasks": list(board["policies"][0]["per_task"]),
        "rows": [
            {
                **row,
                "learned": row["kind"] == "learned",
                "ours": row["name"] == "ours",
                "relative": formats.multiple(formats.relative_cost(row, board)),
                "money": formats.number(row["cost"], 4),
                "gap": _metric(row, "oracle_gap_recovered"),
                "saving": _metric(row, "cost_saving"),
                "aiq_shown": _metric(row, "aiq"),
                "two_models_shown": [
                    _with_interval(row.get("apgr"), row.get("apgr_ci")),
                    *(
                        _with_interval((row.get("cpt") or {}).get(percent), (row.get("cpt_ci") or {}).get(percent))
                        for percent in ("50", "80")
                    ),
                ],
                "against": row["ours_against"],
            }
            for row in board["policies"]
        ],
    }


def _metric(row: dict[str, Any], name: str) -> dict[str, str]:
    metric = row.get(name) or {}
    return _with_interval(metric.get("value"), metric.get("ci"), formats.percent)


def _with_interval(
    value: float | None, ends: list[float | None] | None, show: Callable[[float | None], str] = formats.number
) -> dict[str, str]:
    """A metric with its interval; an end is open where too many resamples have no value."""
    return {"value": show(value), "ci": " to ".join("open" if end is None else show(end) for end in ends or ())}


def _draw(board: dict[str, Any], at: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Inline pictures, and files for paper."""
    from matplotlib import rc_context

    from hierrouter_jax.report.figures.plane import board_figure
    from hierrouter_jax.report.figures.style import DOUBLE, STYLE, paper_files, to_svg

    with rc_context(STYLE):
        svg = {
            "plane": to_svg(board_figure(board, (920, 480)), f"Cost and accuracy on {board['name']}"),
            "plane_narrow": to_svg(board_figure(board, (390, 560)), f"Cost and accuracy, {board['name']}"),
        }
        return svg, paper_files({f"plane_{at}": board_figure(board, (DOUBLE, 350))})


def _frames(boards: list[dict[str, Any]]) -> dict[str, Any]:
    """Every number of the page as tables, fractions as they are and costs in the table's money unit."""
    import pandas as pd

    policies, points, tasks, splits, comparisons, controls = [], [], [], [], [], []
    for board in boards:
        controls += [{"table": board["name"], **_ends(row)} for row in (board.get("controls") or {"rows": []})["rows"]]
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
    together |= {"controls": controls} if controls else {}
    return {name: pd.DataFrame(rows) for name, rows in together.items()}


def _ends(row: dict[str, Any]) -> dict[str, Any]:
    """Intervals as two columns."""
    columns: dict[str, Any] = {}
    for name, value in row.items():
        if name == "ci" or name.endswith("_ci"):
            start = name.removesuffix("ci")
            columns |= {f"{start}low": value[0], f"{start}high": value[1]}
        else:
            columns[name] = value
    return columns
