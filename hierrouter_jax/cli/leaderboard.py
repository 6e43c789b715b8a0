"""The verb `leaderboard`: all learners and opponents on the same splits of tables."""

import json as jsonlib
from typing import Any

from rich.table import Table
from rich.text import Text

from hierrouter_jax.cli.result_tables import VERDICT_STYLES, Name, marked, plain_table, print_result, result_console
from hierrouter_jax.report import formats
from hierrouter_jax.studies.leaderboard.config import OURS, LeaderboardConfig


def leaderboard(config: LeaderboardConfig, json: bool = False) -> None:
    """Fit all learners and all opponents on the same splits of tables, judge them exactly, and rank them.

    Without --splits or --folds the tables' own split is used. `ours` is, in each split, the learner that validation
    chooses. Run the same command again after an interruption, or with more learners, and only what is missing is
    fitted.
    """
    from hierrouter_jax.report.pages.leaderboard import build_leaderboard_page
    from hierrouter_jax.studies.leaderboard.run import RESULT
    from hierrouter_jax.studies.leaderboard.run import leaderboard as run_leaderboard

    result = run_leaderboard(config)
    page = build_leaderboard_page(config.out)
    if json:
        print(jsonlib.dumps(result))
        return
    console = result_console()
    for board in result["boards"]:
        print_result(console, *(board_table(board, hidden) for hidden in ((), ("AIQ",), ("AIQ", "gap %"))))
        sentences = [board["headline"]["sentence"], *([board["controls"]["sentence"]] if board["controls"] else [])]
        lines = (f"\N{MIDDLE DOT} {sentence}\n" for sentence in sentences)
        console.print("".join(lines), soft_wrap=True)
    files = f"page: {page}, numbers: {config.out / RESULT}"
    console.print(files, style="dim", soft_wrap=True)


def board_table(board: dict[str, Any], hidden: tuple[str, ...] = ()) -> Table:
    """A row a participant, most accurate first, oracles apart below.

    Accuracy in percent with its 95 % interval; cost over the cheapest single model's; the differences are ours minus
    the row's, in points.

    Args:
      hidden: columns that are left to the page, where the terminal is narrow.
    """
    table = plain_table(
        pad_edge=False,
        collapse_padding=True,
        title=board["name"],
        caption=_caption(board) + (f"; {' and '.join(hidden)} on the page" if hidden else ""),
    )
    table.add_column("")
    unit, names = cheapest(board), tuple(map(marked, board["policies"]))
    cells = [_cells(row, unit) for row in board["policies"]]
    for header in cells[0]:
        if header not in hidden:
            table.add_column(header, justify="right", no_wrap=True)
    for at, row in enumerate(board["policies"]):
        following = board["policies"][at + 1 :][:1]
        table.add_row(
            Name(marked(row), names),
            *(cell for header, cell in cells[at].items() if header not in hidden),
            style="bold magenta" if row["name"] == OURS else "magenta" if row["kind"] == "learned" else "",
            end_section=bool(following) and (row["kind"] == "oracle") != (following[0]["kind"] == "oracle"),
        )
    return table


def _cells(row: dict[str, Any], unit: float | None) -> dict[str, str | Text]:
    """By column."""
    against = row["ours_against"]
    return {
        "accuracy %": _with_interval(row["accuracy"], row["accuracy_ci"]),
        "cost": formats.multiple(row["cost"] / unit if unit else None),
        "gap %": _share(row.get("oracle_gap_recovered")),
        "AIQ": _share(row.get("aiq")),
        "ours minus it": _with_interval(against["difference"], against["ci"], signed=True) if against else "",
        "verdict": Text(against["verdict"], VERDICT_STYLES[against["verdict"]]) if against else "",
    }


def cheapest(board: dict[str, Any]) -> float | None:
    """Cost of the cheapest single model, the unit of costs."""
    names = {member["name"] for member in board["table"]["pool"]}
    return min((row["cost"] for row in board["policies"] if row["name"] in names and row["cost"] > 0), default=None)


def _caption(board: dict[str, Any]) -> str:
    split, weight = board["split"], board["cost_weights"][0]
    kinds = {"random": "random splits", "folds": "folds", "given": "given split"}
    return (
        f"{split['count']} {kinds[split['kind']]}: {split['train']} to train, {split['validation']} to choose, "
        f"{split['test']} to test; cost weight {weight:g}; 95 % intervals over splits and queries; cost 1 is the "
        "cheapest model; * learned"
    )


def _with_interval(value: float, interval: Any, signed: bool = False) -> Text:
    show = formats.signed_points if signed else formats.percent
    low, high = (show(end) for end in interval)
    return Text.assemble(show(value), (f" {low}–{high}" if not signed else f" {low} to {high}", "dim not bold default"))


def _share(metric: dict[str, Any] | None) -> str:
    return formats.percent(None if metric is None else metric["value"])
