"""New verdicts over old ones in a table's folder, so that whoever reads it sees all of the old or all of the new."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hierrouter_jax.files import replacing, write_json

_NODES, _NEXT_NODES, _HEADER, _NEXT_HEADER = "nodes", "nodes.next", "table.json", "table.next.json"


def rewrite_nodes(folder: Path, header: dict[str, Any], parts: dict[str, pa.Table]) -> None:
    """Put new node files and a new header in the place of the old ones.

    The new files are written beside the old. The header, which comes last, is the decision: before it is there nothing
    has happened, and from then on every reader puts the files in place (`finish_rewriting`) that a killed process left.

    Args:
      folder: of the table.
      header: what `table.json` is to hold.
      parts: by file name, the rows of each file in `nodes`.
    """
    waiting = folder / _NEXT_NODES
    shutil.rmtree(waiting, ignore_errors=True)  # of a process that was killed before it decided
    for name, rows in parts.items():
        with replacing(waiting / name) as temporary:
            pq.write_table(rows, temporary, compression="zstd")
    write_json(folder / _NEXT_HEADER, header)
    finish_rewriting(folder)


def finish_rewriting(folder: Path) -> None:
    """Put in place what a rewriting decided on; nothing where none did. It may be done by several at once."""
    decided = folder / _NEXT_HEADER
    if not decided.is_file():
        return
    waiting = folder / _NEXT_NODES
    for path in sorted(waiting.glob("*.parquet")):
        with suppress(FileNotFoundError):
            path.replace(folder / _NODES / path.name)
    with suppress(FileNotFoundError):
        decided.replace(folder / _HEADER)
    shutil.rmtree(waiting, ignore_errors=True)


def node_files(folder: Path, header: dict[str, Any]) -> dict[str, pa.Table]:
    """By file name, the rows of each file in `nodes` that a header speaks of."""
    names = [f"part-{number:05d}.parquet" for number in range(header.get("parts", 1))]
    return {name: pq.read_table(folder / _NODES / name) for name in names}


def with_columns(rows: pa.Table, query_ids: list[str], columns: dict[str, np.ndarray]) -> pa.Table:
    """Rows of `nodes` with some columns replaced, or added behind the others.

    Args:
      rows: with `query_id` and `node`.
      query_ids: of the Q queries, in the order of the columns' rows.
      columns: by name, [Q, N].
    """
    index = {name: row for row, name in enumerate(query_ids)}
    query = np.array([index[name] for name in rows["query_id"].to_pylist()], dtype=np.int64)
    node = rows["node"].to_numpy()
    for name, column in columns.items():
        values = pa.array(column[query, node])
        place = rows.schema.get_field_index(name)
        rows = rows.append_column(name, values) if place < 0 else rows.set_column(place, name, values)
    return rows
