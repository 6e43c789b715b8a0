"""The formats that outcomes are imported from, by name, and the long one: a row a query and hop."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.outcomes.importers.evaluations import read_llmrouterbench, read_opencompass
from hierrouter_jax.outcomes.importers.llmrouter import read_llmrouter
from hierrouter_jax.outcomes.importers.records import (
    COLUMNS,
    ROW_FILES,
    Gatherer,
    Records,
    missing,
    outcome_rows,
    source_files,
)
from hierrouter_jax.outcomes.importers.scales import Stated
from hierrouter_jax.outcomes.importers.trajectories import read_trajectories
from hierrouter_jax.outcomes.importers.wide import read_routellm, read_routerbench
from hierrouter_jax.outcomes.rows import Rows, check_mapped, column_names
from hierrouter_jax.outcomes.texts import NotText, as_text

_NEEDED = ("query", "model", "score")


def read_long(path: Path, rows: Gatherer, columns: Mapping[str, str] | None = None) -> Records:
    """The long format: a file, or all of a folder, with columns `query`, `model` and `score`, and any of the others.

    Without `task` every query is of the task "queries". Without `query_id` a query is its task, split and text.
    Without `route` a row is a model's answer to the query alone; with it, a hop after the others that it names.

    Args:
      path: the file or the folder.
      rows: the gatherer that outcomes are added to.
      columns: names in the file by the names here, of columns that are called otherwise there.

    Raises:
      InputError: if a needed column, or one of `columns`, is missing, or nothing can be read.
    """
    names = column_names(COLUMNS, columns)
    ids: dict[tuple[str, str, str], str] = {}
    seen: set[str] = set()
    files = source_files(path, *ROW_FILES)
    for file in files:
        grid = outcome_rows(file, rows)
        seen.update(grid.columns)
        _check(file, grid, names)
        for number, record in grid.rows:
            values = {name: record.get(column) for name, column in names.items()}
            if missing(values["task"]):
                values["task"] = "queries"
            if missing(values["query_id"]) and not missing(values["query"]):
                values["query_id"] = ids.setdefault(_key(values), f"query-{len(ids):06d}")
            rows.add(file, number, values, names["score"])
    check_mapped(path, columns, seen)
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


FORMATS: dict[str, Callable[[Path, Gatherer], Records]] = {
    "long": read_long,
    "llmrouter": read_llmrouter,
    "llmrouterbench": read_llmrouterbench,
    "opencompass": read_opencompass,
    "routellm": read_routellm,
    "routerbench": read_routerbench,
    "trajectories": read_trajectories,
}
_WITH_COLUMNS = {"long": read_long, "trajectories": read_trajectories}


def read_format(name: str, path: Path, columns: Mapping[str, str] | None = None, score_range: Stated = None) -> Records:
    """Outcomes of a file or folder.

    Args:
      name: name of the format.
      path: the file or the folder.
      columns: names in the file by the names here; for the long format and trajectories only.
      score_range: the worst and the best score, of all columns of scores or by column; 0 and 1 where it is left out.

    Raises:
      InputError: if the format is unknown, or the files are not what it says.
    """
    if name not in FORMATS:
        raise InputError(f"format {name!r} is unknown; {nearest(name, FORMATS)}")
    if columns and name not in _WITH_COLUMNS:
        raise InputError(f"--columns maps columns of the long format and of trajectories; {name} has names of its own")
    rows = Gatherer(path, score_range)
    return _WITH_COLUMNS[name](path, rows, columns) if columns else FORMATS[name](path, rows)
