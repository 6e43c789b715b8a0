"""The verb `inspect`: what a table holds, what a task asks, what a mix draws."""

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from hierrouter_jax.cli.configs import InspectConfig
from hierrouter_jax.cli.result_tables import plain_table, print_result, result_console
from hierrouter_jax.errors import InputError

if TYPE_CHECKING:
    from hierrouter_jax.outcomes.table import OutcomeTable

_MOST_PAIRS = 40  # rows that a person reads


def inspect(config: InspectConfig, json: bool = False) -> None:
    """Show what an outcome table holds: its pool, splits, how right each model is alone and by task, and the ceilings.

    With --task it shows a task's prompts and verdicts instead, with --mix what a mix of tasks draws.
    """
    if config.task is not None or config.mix is not None:
        from hierrouter_jax.cli.inspect_tasks import inspect_mix, inspect_task

        if config.task is not None:
            inspect_task(config, config.task, json)
        elif config.mix is not None:
            inspect_mix(config, config.mix, json)
    elif config.table is not None:
        _inspect_table(config.table, config.query, json)


def _inspect_table(folder: Path, query: str | None, json: bool) -> None:
    from hierrouter_jax.cli.import_ import import_notes
    from hierrouter_jax.cli.summary import (
        members_by_task,
        pool_tables,
        print_members,
        print_nobody_right,
        splits_tables,
        table_summary,
    )
    from hierrouter_jax.outcomes.changes import changes
    from hierrouter_jax.outcomes.failures import nobody_right
    from hierrouter_jax.outcomes.notes import table_notes
    from hierrouter_jax.outcomes.store import load_external, load_table

    table = load_table(folder)
    if query is not None:
        row = _row(table, query)
        if json:
            print(jsonlib.dumps(_query_as_data(table, row)))
        else:
            _show_query(table, row)
        return
    summary = table_summary(table) | members_by_task(table, load_external(folder))
    summary |= {"nobody_right": nobody_right(table), "changes": changes(table)}
    if json:
        print(jsonlib.dumps(summary))
        return
    output = result_console()
    print_result(output, *pool_tables(summary["pool"], table.money_unit))
    print_result(output, *splits_tables(summary["splits"]))
    print_members(output, summary)
    _print_changes(output, summary["changes"])
    print_nobody_right(output, summary["nobody_right"])
    output.print(
        f"horizon {summary['horizon']}, {summary['available']:.1%} of the hops collected, "
        f"costs in {table.money_unit}, fingerprint {summary['fingerprint']}",
        soft_wrap=True,
    )
    notes = table_notes(table.settings)
    if "import" in table.settings:
        source = table.settings["import"]
        notes = [f"imported from {source.get('format')} {source.get('path')}", *import_notes(source), *notes]
    for note in dict.fromkeys(notes):
        output.print(note, soft_wrap=True)


def _print_changes(output: Console, rows: list[dict[str, Any]]) -> None:
    """Print what later hops repair and damage: by pair of models over all tasks, then by task over all pairs."""
    from hierrouter_jax.outcomes.changes import COUNTS
    from hierrouter_jax.outcomes.failures import ALL_TASKS

    tasks = list(dict.fromkeys(row["task"] for row in rows))
    whole = [row for row in rows if row["task"] == (ALL_TASKS if ALL_TASKS in tasks else tasks[0])] if rows else []
    by_pair = [(f"hop {row['hop']}: {row['before']} > {row['after']}", row) for row in whole]
    if len(by_pair) > _MOST_PAIRS:
        output.print(f"{len(by_pair)} changes by models are not shown; --json tells all", style="dim", soft_wrap=True)
        by_pair = []
    by_task = [
        (task, {name: sum(row[name] for row in rows if row["task"] == task) for name in COUNTS}) for task in tasks
    ]
    for title, lines in (
        ("what later hops change, by models", by_pair),
        ("what later hops change, by task", by_task),
    ):
        if not lines:
            continue
        grid = plain_table(pad_edge=False, title=title)
        grid.add_column("", overflow="fold")
        for header in ("wrong before", "repaired", "right before", "damaged"):
            grid.add_column(header, justify="right")
        for label, row in lines:
            cells = [
                f"{row['wrong']:,}",
                _part(row["repaired"], row["wrong"]),
                f"{row['right']:,}",
                _part(row["damaged"], row["right"]),
            ]
            grid.add_row(Text(label), *cells)
        output.print(grid)


def _part(count: int, of: int) -> str:
    return f"{count:,} ({count / of:.1%})" if of else "0"


def _row(table: "OutcomeTable", query_id: str) -> int:
    row = next((row for row, query in enumerate(table.queries) if query.id == query_id), None)
    if row is None:
        raise InputError(
            f"--query is {query_id!r}, but the table's ids run from {table.queries[0].id!r} to {table.queries[-1].id!r}"
        )
    return row


def _query_as_data(table: "OutcomeTable", row: int) -> dict[str, Any]:
    """A query and every hop that the table holds of it, breadth-first, its route by the models' names."""
    query, tree = table.queries[row], table.tree
    hops = [
        {
            "route": [table.model_names[model] for model in tree.route(node)],
            "response": str(table.response[row, node]),
            "quality": float(table.quality[row, node]),
            "cost": float(table.cost[row, node]),
        }
        for node in range(1, tree.num_nodes)
        if table.available[row, node]
    ]
    return {"query": query.id, "text": query.text, "task": query.task, "gold": query.gold, "hops": hops}


def _show_query(table: "OutcomeTable", row: int) -> None:
    from hierrouter_jax.outcomes.table import RIGHT

    query = table.queries[row]
    root = Tree(Text.assemble((query.text, "bold"), (f"   {query.task}, gold {query.gold!r}", "dim")))
    branches = {0: root}
    for node in range(1, table.tree.num_nodes):
        parent = table.tree.parent(node)
        if parent in branches and table.available[row, node]:
            right = table.quality[row, node] >= RIGHT
            label = Text.assemble(
                (f"{table.model_names[table.tree.last_model(node)]} ", "cyan"),
                (str(table.response[row, node]), "green" if right else ""),
                (f"   quality {table.quality[row, node]:g}, cost {table.cost[row, node]:,.4g}", "dim"),
            )
            branches[node] = branches[parent].add(label)
    Console(highlight=False, soft_wrap=True).print(root)
