"""Result tables for the terminal."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hierrouter_jax.experiments.report import rows

_HEADERS = ("accuracy %", "cost", "hops", "re-\npaired", "dam-\naged", "oracle\ngap", "unseen")


def result_console() -> Console:
    """Standard output, wide enough for a result table where it is no terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=100)


def result_table(evaluation: dict[str, Any]) -> Table:
    """The policies of an `evaluation.json`, most accurate first, oracles and the co-failure ceiling apart below.

    Shares are percent; cost is relative to the cheapest single model; `unseen` is the accuracy on surface templates
    that no training query has. Fits 80 columns with the policy names of the quickstart.
    """
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        caption=_caption(evaluation),
        caption_justify="left",
        caption_style="dim",
    )
    table.add_column("policy", no_wrap=True, vertical="bottom")
    for header in _HEADERS:
        table.add_column(header, justify="right", no_wrap=True, vertical="bottom")
    deployable, oracles = rows.deployable(evaluation), rows.oracles(evaluation)
    ceiling = rows.co_failure_ceiling(evaluation)
    intervals = [row.get("accuracy_ci") for row in deployable + oracles] + [ceiling[1] if ceiling else None]
    width = max(len(_interval(interval)) for interval in intervals)
    for row in deployable:
        style = "bold magenta" if row["kind"] == "learned" else ""
        table.add_row(*_cells(row, evaluation, width), style=style, end_section=row is deployable[-1])
    for row in oracles:
        table.add_row(*_cells(row, evaluation, width))
    if ceiling is not None:
        table.add_row("co-failure ceiling", _accuracy(*ceiling, width))
    return table


def _cells(row: dict[str, Any], evaluation: dict[str, Any], width: int) -> list[str | Text]:
    """A learned row carries a mark besides its colour, for terminals and files that have none."""
    return [
        f"{row['name']} *" if row["kind"] == "learned" else row["name"],
        _accuracy(row["accuracy"], row.get("accuracy_ci"), width),
        rows.multiple(rows.relative_cost(row, evaluation)),
        rows.number(row.get("hops")),
        rows.percent(row.get("repaired")),
        rows.percent(row.get("damaged")),
        rows.percent(row.get("oracle_gap_recovered")),
        rows.percent((row.get("unseen_templates") or {}).get("accuracy")),
    ]


def _accuracy(value: float, interval: Any, width: int) -> Text:
    return Text.assemble(rows.percent(value), (f" {_interval(interval):>{width}}", "dim not bold default"))


def _interval(interval: Any) -> str:
    return f"{rows.percent(interval[0])}{rows.DASH}{rows.percent(interval[1])}" if interval else rows.DASH


def _caption(evaluation: dict[str, Any]) -> str:
    table, unit = evaluation["table"], rows.cheapest_single(evaluation)
    cost = f"; cost 1 = {unit['name']}" if unit else ""
    return f"{table['queries']} queries of the {table['split']} split; 95 % intervals{cost}; * learned"
