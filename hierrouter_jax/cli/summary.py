"""What `inspect` shows of a table: its pool and its splits, names whole, in as many columns as there is room for."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from hierrouter_jax.baselines import oracle
from hierrouter_jax.outcomes.coverage import evaluated_queries
from hierrouter_jax.outcomes.notes import table_notes
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.report.formats import DASH, percent

# Columns, the last ones the first to go where a terminal is narrow.
_POOL = (
    "name", "accuracy_alone", "mean_cost", "price_in", "price_out", "max_new_tokens", "parameters", "flops_per_token"
)  # fmt: skip
_SPLITS = ("split", "queries", "tasks", "oracle_stop", "co_failure", "oracle_fixed", "left_out")
_LITTLE = 0.01  # of money, below which it is counted by the million tokens, or the thousand calls


def table_summary(table: OutcomeTable) -> dict[str, Any]:
    """What a table holds, as plain data: its pool, its splits with their ceilings, its settings and notes."""
    ran = table.available[:, table.tree.stage_slice(1)]
    alone, cost = (np.ma.array(x[:, table.tree.stage_slice(1)], mask=~ran) for x in (table.quality, table.cost))
    pool = [
        asdict(member) | {"accuracy_alone": float(alone[:, model].mean()), "mean_cost": float(cost[:, model].mean())}
        for model, member in enumerate(table.pool)
    ]
    splits = []
    for split in dict.fromkeys(query.split for query in table.queries):
        everything, part = table.split(split), evaluated_queries(table, split)
        failed, queries = oracle.co_failure(part)
        rows = np.arange(queries)
        splits.append(
            {
                "split": split,
                "queries": everything.num_queries,
                "left_out": everything.num_queries - queries,
                "tasks": len(np.unique(part.task)),
                "oracle_fixed": float(part.quality[rows, oracle.oracle_fixed(part)].mean()),
                "oracle_stop": float(part.quality[rows, oracle.oracle_stop(part)].mean()),
                "co_failure": failed / queries,
            }
        )
    return {
        "pool": pool,
        "splits": splits,
        "horizon": table.tree.horizon,
        "available": float(table.available[:, 1:].mean()),
        "fingerprint": table.fingerprint,
        "settings": table.settings,
        "notes": table_notes(table.settings),
    }


def pool_tables(rows: list[dict[str, Any]], money_unit: str) -> Iterator[Table]:
    """The pool with ever fewer columns.

    Args:
      rows: a summary's `pool`.
      money_unit: of prices and costs.
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
      rows: of a summary's `pool`.
      money_unit: of prices and costs.
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
      rows: of a summary's `splits`.
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
    grid = Table(
        box=box.SIMPLE_HEAD,
        title=title,
        title_justify="left",
        show_edge=False,
        pad_edge=False,
        caption_justify="left",
        caption_style="dim",
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
