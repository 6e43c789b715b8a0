"""What `inspect` says of each model by task: how right it is, how often it is cut off, how much it reads and writes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.report.formats import number, percent

ALL_TASKS = "all tasks"
_HEADERS = {"accuracy": "right %", "truncated": "cut %", "tokens_in": "tokens in", "tokens_out": "out"}
_MOST_ROWS = 80
_LEGEND = "right %: mean quality; cut %: ended at the longest response; tokens: means of a hop"


def by_task(table: OutcomeTable) -> list[dict[str, Any]]:
    """A row for each task and model, and where there are several tasks one for all of them together.

    Returns:
      `task`, `model`, and of its first hops (`first_hop`) and of its hops anywhere on a route (`all_hops`) what
      `_outcomes` says.
    """
    own = np.arange(1, table.tree.num_nodes)
    called = np.concatenate([[-1], table.tree.last_model(own)])
    tasks = {name: table.task == place for place, name in enumerate(table.task_names)}
    tasks = {name: rows for name, rows in tasks.items() if rows.any()}
    if len(tasks) > 1:
        tasks[ALL_TASKS] = np.ones(table.num_queries, dtype=bool)
    return [
        {
            "task": task,
            "model": name,
            "first_hop": _outcomes(table, rows[:, None] & ((called == model) & (table.tree.stages == 1))),
            "all_hops": _outcomes(table, rows[:, None] & (called == model)),
        }
        for task, rows in tasks.items()
        for model, name in enumerate(table.model_names)
    ]


def print_members(console: Console, summary: Mapping[str, Any]) -> None:
    """Print what `members_by_task` gives: of first hops, of hops anywhere where there are later ones, and beside."""
    rows, left_out = _short(summary["by_task"])
    deeper = any(row["all_hops"]["hops"] > row["first_hop"]["hops"] for row in rows)
    console.print(by_task_table(rows, "first_hop", "by task, hop 1" if deeper else "by task"))
    if deeper:
        console.print(by_task_table(rows, "all_hops", "by task, all hops"))
    if "external_by_task" in summary:
        console.print(by_task_table(_short(summary["external_by_task"])[0], "first_hop", "by task, beside the pool"))
    if left_out:
        console.print(f"{left_out} tasks are not shown; --json tells all", style="dim", soft_wrap=True)
    console.print(_LEGEND, style="dim", soft_wrap=True)


def members_by_task(table: OutcomeTable, external: OutcomeTable | None) -> dict[str, Any]:
    """`by_task` of a table, and as `external_by_task` of the models beside its pool, where there are any."""
    return {"by_task": by_task(table)} | ({} if external is None else {"external_by_task": by_task(external)})


def by_task_table(rows: Sequence[Mapping[str, Any]], part: str, title: str) -> Table:
    """Rows of `by_task` for the terminal, a section a task.

    A name that there is no room for goes on in the next line, and no number is cut.

    Args:
      rows: of `by_task`.
      part: `first_hop` or `all_hops`.
      title: above the table.
    """
    shown = [name for name in _HEADERS if any(row[part][name] is not None for row in rows)]
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        title=title,
        title_justify="left",
    )
    table.add_column("task, model", overflow="fold")
    for name in shown:
        table.add_column(_HEADERS[name], justify="right", no_wrap=True, vertical="bottom")
    for place, row in enumerate(rows):
        if place == 0 or rows[place - 1]["task"] != row["task"]:
            table.add_row(Text(row["task"]), style="bold")
        ends = place + 1 == len(rows) or rows[place + 1]["task"] != row["task"]
        cells = [_cell(row[part], name) for name in shown]
        table.add_row(Padding.indent(Text(row["model"]), 2), *cells, end_section=ends)
    return table


def _short(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """The rows of all tasks together where there are more than a person reads, and how many tasks are left out."""
    tasks = {row["task"] for row in rows} - {ALL_TASKS}
    if len(rows) <= _MOST_ROWS or len(tasks) < 2:
        return rows, 0
    return [row for row in rows if row["task"] == ALL_TASKS], len(tasks)


def _outcomes(table: OutcomeTable, wanted: Bool[np.ndarray, "Q N"]) -> dict[str, Any]:
    """Of the wanted hops that the table holds: their number, and means; None where there is no hop.

    `truncated` is the share that ended at the longest response, None where the table does not say how hops ended.
    """
    held = wanted & table.available
    hops = int(held.sum())
    columns = {"accuracy": table.quality, "tokens_in": table.tokens_in, "tokens_out": table.tokens_out}
    if "finish_reason" in table.details:
        columns["truncated"] = table.details["finish_reason"] == "length"
    means = {name: float(column[held].mean()) for name, column in columns.items()} if hops else {}
    return {"hops": hops} | {name: means.get(name) for name in _HEADERS}


def _cell(outcomes: Mapping[str, Any], name: str) -> str:
    value = outcomes[name]
    return number(value, 0) if name.startswith("tokens") else percent(value)
