"""The verb `tables`: the outcome tables that ship with the package."""

import json as jsonlib
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from hierrouter_jax.cli.result_tables import plain_console
from hierrouter_jax.outcomes.shipped import TABLES, shipped_tables


@dataclass(frozen=True)
class TablesConfig:
    """Nothing to choose."""


def tables(config: TablesConfig, json: bool = False) -> None:
    """List the outcome tables of real models that ship with the package.

    Every verb takes a table's name where it takes a folder: 'hierrouter train NAME'; 'NAME@ENCODER' chooses whose
    embeddings the router reads, the first encoder's by default. A folder of that name counts first.
    """
    from hierrouter_jax.outcomes.packing import DATASHEET, describe_table

    shipped = [describe_table(folder) for folder in shipped_tables().values()]
    if json:
        print(jsonlib.dumps({"tables": shipped}))
        return
    output = plain_console()
    if not shipped:
        output.print(f"no table ships with this version; they would lie in {TABLES}", soft_wrap=True)
    for table in shipped:
        grid = Table(box=None, show_header=False, title=table["name"], title_justify="left", title_style="bold")
        grid.add_column(style="dim")
        grid.add_column(overflow="fold")
        tasks = ", ".join(f"{name} {count:,}" for name, count in table["tasks"].items())
        grid.add_row("queries", f"{table['queries']:,} ({tasks})")
        grid.add_row("models", ", ".join(table["models"]))
        if table["external"]:
            grid.add_row("beside them", ", ".join(table["external"]))
        grid.add_row("horizon", str(table["horizon"]))
        grid.add_row("encoders", ", ".join(f"{table['name']}@{name}" for name in table["encoders"]))
        grid.add_row("size", f"{table['bytes'] / 1e6:.1f} MB")
        grid.add_row("licence", table["licence"])
        output.print(grid)
        output.print(f" datasheet {Path(table['folder']) / DATASHEET}\n", soft_wrap=True)
