"""The verbs of tables that ship with the package: tables lists them, pack makes their form."""

import json as jsonlib
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.packing import DATASHEET, describe_table, pack_tables
from hierrouter_jax.outcomes.shipped import TABLES, shipped_tables

SEVERAL = {"pack": "tables"}  # verb: the argument that takes one or more values

WRITES = {"pack": lambda options: options["out"]}  # verb: the folder, by its options


def tables(json: bool = False) -> None:
    """List the outcome tables of real models that ship with the package.

    Every verb takes a table's name where it takes a folder: 'hierrouter train NAME'; 'NAME@ENCODER' chooses whose
    embeddings the router reads, the first encoder's by default. A folder of that name counts first.

    Args:
      json: print for machines.
    """
    found = [describe_table(folder) for folder in shipped_tables().values()]
    if json:
        print(jsonlib.dumps({"tables": found}))
        return
    output = Console(highlight=False)
    if not found:
        output.print(f"no table ships with this version; they would lie in {TABLES}", soft_wrap=True, markup=False)
    for table in found:
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
        output.print(f" datasheet {Path(table['folder']) / DATASHEET}\n", soft_wrap=True, markup=False)


def pack(
    tables: list[Path],
    out: Path | None = None,
    encoders: list[str] | None = None,
    licence: str = "",
    json: bool = False,
) -> None:
    """Write a table in the form in which tables ship: files under 1.1 MB, at most 8 MB in all.

    The tables hold the same outcomes with the embeddings of another encoder each; a packed table will do, too. What
    an earlier packing left in OUT is replaced; OUT/README.md, the datasheet, stays.

    Args:
      tables: folders of outcome tables; the first one's encoder is the default.
      out: folder, named as the table is to be called.
      encoders: their names, in the order of the tables; by default the end of each encoder's source.
      licence: of the queries and the responses.
      json: print the files' sizes for machines.
    """
    if out is None:
        raise InputError("--out is missing: say in which folder the packed table is to be")
    sizes = pack_tables(tables, out, encoders or (), licence)
    if json:
        print(jsonlib.dumps({"table": str(out), "bytes": sum(sizes.values()), "files": sizes}))
        return
    print(f"{out}: {sum(sizes.values()):,} bytes in {len(sizes)} files, the largest of {max(sizes.values()):,}")
    if not (out / DATASHEET).is_file():
        print(f"next: write {out / DATASHEET}, the datasheet: what, how, licences, command, known faults")
