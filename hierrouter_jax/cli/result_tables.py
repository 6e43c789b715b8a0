"""Result tables for the terminal."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from hierrouter_jax.report import formats

_HEADERS = ("accuracy %", "cost", "hops", "re-\npaired", "dam-\naged", "oracle\ngap", "unseen")
_SHORTEST, _UNBOUNDED = 16, 10_000  # columns that a long name keeps where there is no room, and of no terminal
VERDICT_STYLES = {"better": "green", "worse": "red", "tied": "", "undecided": "dim"}


def plain_console(**options: Any) -> Console:
    """A console that shows names as they are: brackets are no markup, words between colons no emoji.

    Args:
      options: settings of rich's console.
    """
    return Console(highlight=False, markup=False, emoji=False, **options)


def result_console() -> Console:
    """Standard output, wide enough for a result table where it is no terminal."""
    console = plain_console()
    return console if console.is_terminal else plain_console(width=100)


def plain_table(
    *, title: str | None = None, caption: str | None = None, pad_edge: bool = True, collapse_padding: bool = False
) -> Table:
    """A table without a frame, its words above and below at its left edge.

    Args:
      title, caption: words above it and words below it.
      pad_edge: whether there is a space before the first column and after the last.
      collapse_padding: whether columns stand closer together.
    """
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=pad_edge,
        collapse_padding=collapse_padding,
        title=title,
        title_justify="left",
        caption=caption,
        caption_justify="left",
        caption_style="dim",
    )


@dataclass(frozen=True)
class Name:
    """A cell that leaves its room to numbers: shortened in its middle, or folded where another then reads the same.

    Attributes:
      text: name of the row.
      names: names of all rows.
    """

    text: str
    names: tuple[str, ...]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        width = cell_len(self.text)
        return Measurement(min(width, _SHORTEST), width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Text]:
        short = _shortened(self.text, options.max_width)
        alike = [name for name in self.names if _shortened(name, options.max_width) == short]
        yield Text(short if set(alike) <= {self.text} else self.text, overflow="fold")


def print_result(console: Console, *tables: Table) -> None:
    """Print the first table that fits without cutting a number, of one with ever fewer columns.

    The first column is names, which are shortened. Where nothing fits, lines are longer than the terminal.
    """
    least = [_least_width(console, table) for table in tables]
    chosen = next((at for at, width in enumerate(least) if width <= console.width), len(tables) - 1)
    if least[chosen] > console.width:
        tables[chosen].width = least[chosen]
    console.print(tables[chosen], crop=False)


def result_table(evaluation: dict[str, Any]) -> Table:
    """The policies of an `evaluation.json`, most accurate first, oracles and the co-failure ceiling apart below.

    Shares are percent; cost is relative to the cheapest single model; `unseen` is the accuracy on surface templates
    that no training query has. Fits 80 columns with the policy names of the quickstart.
    """
    table = plain_table(
        pad_edge=False,
        collapse_padding=True,
        caption=_caption(evaluation),
    )
    table.add_column("policy", vertical="bottom")
    for header in _HEADERS:
        table.add_column(header, justify="right", no_wrap=True, vertical="bottom")
    deployable, oracles = formats.deployable(evaluation), formats.oracles(evaluation)
    ceiling = formats.co_failure_ceiling(evaluation)
    intervals = [row.get("accuracy_ci") for row in deployable + oracles] + [ceiling[1] if ceiling else None]
    width = max(len(_interval(interval)) for interval in intervals)
    names = tuple(map(marked, [*deployable, *oracles]))
    for row in deployable:
        style = "bold magenta" if row["kind"] == "learned" else ""
        cells = Name(marked(row), names), *_numbers(row, evaluation, width)
        table.add_row(*cells, style=style, end_section=row is deployable[-1])
    for row in oracles:
        table.add_row(Name(marked(row), names), *_numbers(row, evaluation, width))
    if ceiling is not None:
        table.add_row("co-failure ceiling", _accuracy(*ceiling, width))
    return table


def in_words(settings: dict[str, Any]) -> str:
    """Settings in words."""
    return ", ".join(f"{name} {value_text(value)}" for name, value in settings.items())


def value_text(value: Any) -> str:
    """A setting's value in few letters."""
    if isinstance(value, float | np.floating):
        return f"{value:.3g}"
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def marked(row: dict[str, Any]) -> str:
    """The name; a learned row carries a mark besides its colour, for terminals and files that have none."""
    return f"{row['name']} *" if row["kind"] == "learned" else row["name"]


def _least_width(console: Console, table: Table) -> int:
    unbounded = console.options.update(max_width=_UNBOUNDED)
    longest = max((cell_len(cell.text) for cell in table.columns[0].cells if isinstance(cell, Name)), default=0)
    return Measurement.get(console, unbounded, table).maximum - max(longest - _SHORTEST, 0)


def _shortened(name: str, width: int) -> str:
    """The ends of a name that is too long, with what tells versions apart rather than a family."""
    if len(name) <= width:
        return name
    letters = max(width - 1, 0)
    return f"{name[: letters // 3]}\N{HORIZONTAL ELLIPSIS}{name[len(name) - (letters - letters // 3) :]}"


def _numbers(row: dict[str, Any], evaluation: dict[str, Any], width: int) -> list[str | Text]:
    return [
        _accuracy(row["accuracy"], row.get("accuracy_ci"), width),
        formats.multiple(formats.relative_cost(row, evaluation)),
        formats.number(row.get("hops")),
        formats.percent(row.get("repaired")),
        formats.percent(row.get("damaged")),
        formats.percent(row.get("oracle_gap_recovered")),
        formats.percent((row.get("unseen_templates") or {}).get("accuracy")),
    ]


def _accuracy(value: float, interval: Any, width: int) -> Text:
    return Text.assemble(formats.percent(value), (f" {_interval(interval):>{width}}", "dim not bold default"))


def _interval(interval: Any) -> str:
    return f"{formats.percent(interval[0])}{formats.DASH}{formats.percent(interval[1])}" if interval else formats.DASH


def _caption(evaluation: dict[str, Any]) -> str:
    table, unit = evaluation["table"], formats.cheapest_single(evaluation)
    cost = f"; cost 1 = {unit['name']}" if unit else ""
    return f"{table['queries']} queries of the {table['split']} split; 95 % intervals{cost}; * learned"
