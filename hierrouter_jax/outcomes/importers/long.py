"""The long format: one row a query and model, in CSV, JSON lines or Parquet."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.outcomes.importers.reading import found, read_grid, read_lines
from hierrouter_jax.outcomes.importers.records import COLUMNS, Gatherer, Records, missing

_PATTERNS = ("*.csv", "*.csv.gz", "*.jsonl", "*.jsonl.gz", "*.parquet")
_NEEDED = ("query", "model", "score")


def read(path: Path, columns: Mapping[str, str] | None = None) -> Records:
    """Read a file, or all files of a folder, with columns `query`, `model` and `score`, and any of the others.

    Without `task` every query is of the task "queries". Without `query_id` a query is its task, split and text.

    Args:
      path: file or folder.
      columns: name in the file of a column that is called otherwise there.

    Raises:
      InputError: if a needed column is missing, or nothing can be read.
    """
    names = {name: name for name in COLUMNS} | dict(columns or {})
    unknown = next((name for name in names if name not in COLUMNS), None)
    if unknown is not None:
        raise InputError(f"--columns: {unknown} is not a column; {nearest(unknown, COLUMNS)}")
    rows, ids = Gatherer(path), {}
    files = found(path, *_PATTERNS)
    for file in files:
        for number, record in _rows(file, names, rows):
            values = {name: record.get(column) for name, column in names.items()}
            if missing(values["task"]):
                values["task"] = "queries"
            if missing(values["query_id"]) and not missing(values["query"]):
                key = (values["task"], values["split"], values["query"])
                values["query_id"] = ids.setdefault(key, f"query-{len(ids):06d}")
            rows.add(file, number, values)
    return rows.records(files)


def _rows(file: Path, names: Mapping[str, str], rows: Gatherer) -> Iterator[tuple[int, dict[str, Any]]]:
    if file.name.removesuffix(".gz").endswith(".jsonl"):
        yield from read_lines(file, rows)
        return
    grid = read_grid(file)
    for name in _NEEDED:
        if names[name] not in grid.columns:
            raise InputError(
                f"{file}: column {names[name]!r} is missing; its columns are {', '.join(map(str, grid.columns))}; "
                f"where {name} is called otherwise, say so: --columns '{{{name}: ITS_NAME}}'"
            )
    yield from enumerate(grid.to_dict("records"))
