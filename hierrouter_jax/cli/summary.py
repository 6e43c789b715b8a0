"""What `inspect` shows of a table: its pool, its splits, and each model by task, with names whole."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hierrouter_jax.baselines import oracle
from hierrouter_jax.cli.result_tables import plain_table
from hierrouter_jax.outcomes.coverage import evaluated_queries
from hierrouter_jax.outcomes.failures import ALL_TASKS, CAUSES, rows_by_task
from hierrouter_jax.outcomes.notes import replicates_note, table_notes
from hierrouter_jax.outcomes.replicates import mean_by_question, replicates_report
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.report.formats import DASH, number, percent

# Columns, the last ones the first to go where a terminal is narrow.
_POOL = (
    "name", "accuracy_alone", "mean_cost", "price_in", "price_out", "max_new_tokens", "parameters", "flops_per_token"
)  # fmt: skip
_SPLITS = ("split", "queries", "tasks", "oracle_stop", "co_failure", "oracle_fixed", "left_out")
_LITTLE = 0.01  # of money, below which it is counted by the million tokens, or the thousand calls
_HEADERS = {"accuracy": "right %", "truncated": "cut %", "tokens_in": "tokens in", "tokens_out": "out"}
_MOST_ROWS = 80
_LEGEND = (
    "right %: mean quality; cut %: ended at the longest response; tokens: means of a hop; a question that is asked "
    "several times counts once"
)


def table_summary(table: OutcomeTable) -> dict[str, Any]:
    """What a table holds, as plain data: its pool, its splits with their ceilings, its settings and notes."""
    ran = table.available[:, table.tree.stage_slice(1)]
    alone, cost = (np.ma.array(x[:, table.tree.stage_slice(1)], mask=~ran) for x in (table.quality, table.cost))
    weight = _weights(table)
    pool = [
        asdict(member)
        | {
            name: float(np.ma.average(column[:, model], weights=weight)) if ran[:, model].any() else None
            for name, column in {"accuracy_alone": alone, "mean_cost": cost}.items()
        }
        for model, member in enumerate(table.pool)
    ]
    splits = []
    for split in dict.fromkeys(query.split for query in table.queries):
        everything, part = table.split(split), evaluated_queries(table, split)
        rows, ends = (
            np.arange(part.num_queries),
            {"oracle_fixed": oracle.oracle_fixed, "oracle_stop": oracle.oracle_stop},
        )
        shares = {name: part.quality[rows, end(part)].astype(np.float64) for name, end in ends.items()}
        shares["co_failure"] = oracle.failed_alone(part).astype(np.float64)
        splits.append(
            {
                "split": split,
                "queries": everything.num_queries,
                "left_out": everything.num_queries - part.num_queries,
                "tasks": len(np.unique(part.task)),
                **{name: float(mean_by_question(values, part.question).mean()) for name, values in shares.items()},
            }
        )
    replicates = replicates_report(table)
    return {
        "pool": pool,
        "splits": splits,
        "horizon": table.tree.horizon,
        "available": float(table.available[:, 1:].mean()),
        "fingerprint": table.fingerprint,
        "settings": table.settings,
        "notes": [*table_notes(table.settings), *([replicates_note(replicates)] if replicates else [])],
    }


def pool_tables(rows: list[dict[str, Any]], money_unit: str) -> Iterator[Table]:
    """The pool with ever fewer columns.

    Args:
      rows: a summary's `pool`.
      money_unit: unit of prices and costs.
    """
    yield from (_pool_table(rows, money_unit, _POOL[:count]) for count in range(len(_POOL), 1, -1))


def splits_tables(rows: list[dict[str, Any]]) -> Iterator[Table]:
    """The splits with ever fewer columns; that of queries left out only where some are.

    Args:
      rows: a summary's `splits`.
    """
    columns = _SPLITS if any(row["left_out"] for row in rows) else _SPLITS[:-1]
    yield from (_splits_table(rows, columns[:count], columns[count:]) for count in range(len(columns), 1, -1))


def _pool_table(rows: list[dict[str, Any]], money_unit: str, columns: tuple[str, ...]) -> Table:
    """The pool with whole names, the columns that no model fills left out.

    Args:
      rows: rows of a summary's `pool`.
      money_unit: unit of prices and costs.
      columns: names of values; money is counted by the million tokens and the thousand calls where one costs little.
    """
    tokens, per_tokens = _by(rows, ("price_in", "price_out"), 1_000_000, "token", "million tokens")
    calls, per_calls = _by(rows, ("mean_cost",), 1_000, "call", "1,000 calls")
    factor = {"price_in": tokens, "price_out": tokens, "mean_cost": calls}
    titles = {"accuracy_alone": "alone %", "mean_cost": "mean cost"}
    filled = [name for name in columns if any(row[name] is not None for row in rows)]
    hidden = [name for name in _POOL[len(columns) :] if any(row[name] is not None for row in rows)]
    grid = _grid("pool", [titles.get(name, name.replace("_", " ")) for name in filled])
    grid.caption = f"in {money_unit}: prices per {per_tokens}, costs per {per_calls}{_left_out(hidden)}"
    for row in rows:
        grid.add_row(*(_pool_cell(name, row[name], factor) for name in filled))
    return grid


def _pool_cell(name: str, value: Any, factor: dict[str, int]) -> str:
    if name == "accuracy_alone":
        return percent(value)
    return _shown(value if value is None else factor.get(name, 1) * value)


def _splits_table(rows: list[dict[str, Any]], columns: tuple[str, ...], hidden: tuple[str, ...]) -> Table:
    """The splits; shares are percent.

    Args:
      rows: rows of a summary's `splits`.
      columns: names of values.
      hidden: names of those that there is no room for.
    """
    shares = ("oracle_fixed", "oracle_stop", "co_failure")
    grid = _grid("splits", [f"{name.replace('_', ' ')}{' %' if name in shares else ''}" for name in columns])
    grid.caption = _left_out(list(hidden)).removeprefix("; ")
    for row in rows:
        grid.add_row(*(percent(row[name]) if name in shares else _shown(row[name]) for name in columns))
    return grid


def _grid(title: str, headers: list[str]) -> Table:
    grid = plain_table(
        title=title,
        pad_edge=False,
    )
    for place, header in enumerate(headers):
        grid.add_column(header, justify="right" if place else "left", no_wrap=True)
    return grid


def _left_out(columns: list[str]) -> str:
    names = ", ".join(name.replace("_", " ") for name in columns)
    return f"; for {names} use a wider terminal, or --json" if columns else ""


def _by(rows: list[dict[str, Any]], names: tuple[str, ...], many: int, one: str, those: str) -> tuple[int, str]:
    """What money is multiplied by to be read at ease, and the words for it."""
    little = all((row[name] or 0) < _LITTLE for row in rows for name in names)
    return (many, those) if little else (1, one)


def _shown(value: Any) -> str:
    """Three decimals, or three digits of a number that has none in them."""
    if value is None:
        return DASH
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:,.3f}" if value == 0 or abs(value) >= 0.01 else f"{value:.3g}"


def by_task(table: OutcomeTable) -> list[dict[str, Any]]:
    """A row for each task and model, and where there are several tasks one for all of them together.

    Returns:
      `task`, `model`, and of its first hops (`first_hop`) and of its hops anywhere on a route (`all_hops`) what
      `_outcomes` says.
    """
    own = np.arange(1, table.tree.num_nodes)
    called = np.concatenate([[-1], table.tree.last_model(own)])
    return [
        {
            "task": task,
            "model": name,
            "first_hop": _outcomes(table, rows[:, None] & ((called == model) & (table.tree.stages == 1))),
            "all_hops": _outcomes(table, rows[:, None] & (called == model)),
        }
        for task, rows in rows_by_task(table).items()
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
      rows: rows that `by_task` gives.
      part: `first_hop` or `all_hops`.
      title: above the table.
    """
    shown = [name for name in _HEADERS if any(row[part][name] is not None for row in rows)]
    table = plain_table(
        pad_edge=False,
        collapse_padding=True,
        title=title,
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


def print_nobody_right(console: Console, rows: list[dict[str, Any]]) -> None:
    """Print why nobody is right, by task, and how often each class of verdict stands there.

    Args:
      rows: rows that `nobody_right` gives.
    """
    for hops, title in (("one", "nobody is right alone"), ("any", "nobody is right on any route")):
        its = [row for row in rows if row["hops"] == hops]
        if not any(row["nobody_right"] for row in its):
            continue
        causes = [name for name in CAUSES if any(row["by_query"][name] is not None for row in its)]
        grid = _grid(title, ["task", "queries", "nobody %", *(f"{name} %" for name in causes)])
        for row in _short(its)[0]:
            shares = (row["by_query"][name] for name in causes)
            cells = [
                percent(part / row["queries"]) for part in (row["nobody_right"], *(share or 0 for share in shares))
            ]
            grid.add_row(row["task"], f"{row['queries']:,}", *cells)
        console.print(grid)
        reasons = ", ".join(f"{name or 'none'} {count:,}" for name, count in its[-1]["reasons"].items())
        if reasons:
            console.print(f"verdicts of their responses: {reasons}", style="dim", soft_wrap=True)
        unknown = [name for name in CAUSES if name not in causes]
        if unknown:
            console.print(f"the table does not tell: {', '.join(unknown)}", style="dim", soft_wrap=True)


def _short(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """The rows of all tasks together where there are more than a person reads, and how many tasks are left out."""
    tasks = {row["task"] for row in rows} - {ALL_TASKS}
    if len(rows) <= _MOST_ROWS or len(tasks) < 2:
        return rows, 0
    return [row for row in rows if row["task"] == ALL_TASKS], len(tasks)


def _outcomes(table: OutcomeTable, nodes: Bool[np.ndarray, "Q N"]) -> dict[str, Any]:
    """Of the wanted hops that the table holds: their number, and means over questions; None where there is no hop.

    `truncated` is the share that ended at the longest response, None where the table does not say how hops ended.
    """
    held = nodes & table.available
    hops = int(held.sum())
    columns = {"accuracy": table.quality, "tokens_in": table.tokens_in, "tokens_out": table.tokens_out}
    if "finish_reason" in table.details:
        columns["truncated"] = table.details["finish_reason"] == "length"
    weight = np.broadcast_to(_weights(table)[:, None], held.shape)[held]
    means = {name: float(np.average(column[held], weights=weight)) for name, column in columns.items()} if hops else {}
    return {"hops": hops} | {name: means.get(name) for name in _HEADERS}


def _weights(table: OutcomeTable) -> Float[np.ndarray, " Q"]:
    """What each row counts, so that replicates of a question count as one together."""
    return 1 / np.bincount(table.question)[table.question]


def _cell(outcomes: Mapping[str, Any], name: str) -> str:
    value = outcomes[name]
    return number(value, 0) if name.startswith("tokens") else percent(value)
