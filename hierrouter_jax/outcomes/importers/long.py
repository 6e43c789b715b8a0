"""The long format: one row a query and model, in CSV, JSON lines or Parquet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.outcomes.importers.records import COLUMNS, Gatherer, Records, found, missing, outcome_rows
from hierrouter_jax.outcomes.rows import Rows
from hierrouter_jax.outcomes.texts import NotText, as_text

_PATTERNS = (
    "*.csv",
    "*.csv.gz",
    "*.jsonl",
    "*.jsonl.gz",
    "*.parquet",
)  # in a folder; .json there is often something else
_NEEDED = ("query", "model", "score")


def read(path: Path, rows: Gatherer, columns: Mapping[str, str] | None = None) -> Records:
    """Read a file, or all files of a folder, with columns `query`, `model` and `score`, and any of the others.

    Without `task` every query is of the task "queries". Without `query_id` a query is its task, split and text.

    Args:
      path: file or folder.
      rows: that outcomes are added to.
      columns: name in the file of a column that is called otherwise there.

    Raises:
      InputError: if a needed column is missing, or nothing can be read.
    """
    names = {name: name for name in COLUMNS} | dict(columns or {})
    unknown = next((name for name in names if name not in COLUMNS), None)
    if unknown is not None:
        raise InputError(f"--columns: {unknown} is not a column; {nearest(unknown, COLUMNS)}")
    ids: dict[tuple[str, str, str], str] = {}
    files = found(path, *_PATTERNS)
    for file in files:
        grid = outcome_rows(file, rows)
        _check(file, grid, names)
        for number, record in grid.rows:
            values = {name: record.get(column) for name, column in names.items()}
            if missing(values["task"]):
                values["task"] = "queries"
            if missing(values["query_id"]) and not missing(values["query"]):
                values["query_id"] = ids.setdefault(_key(values), f"query-{len(ids):06d}")
            rows.add(file, number, values, names["score"])
    return rows.records(files)


def _check(file: Path, grid: Rows, names: Mapping[str, str]) -> None:
    for name in _NEEDED if grid.rows or grid.columns else ():
        if names[name] not in grid.columns:
            raise InputError(
                f"{file}: column {names[name]!r} is missing; its columns are {', '.join(grid.columns)}; "
                f"where {name} is called otherwise, say so: --columns '{{{name}: ITS_NAME}}'"
            )


def _key(values: dict[str, Any]) -> tuple[str, str, str]:
    """What tells a query without an id from others."""
    try:
        return as_text(values["task"]), str(values["split"]), as_text(values["query"])
    except NotText:  # its row is rejected
        return "", "", ""
