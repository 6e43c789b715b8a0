"""Wide grids: one row a query, one column of scores a model, and further columns that a model's name begins."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers.records import Gatherer, missing
from hierrouter_jax.outcomes.importers.scales import number_of
from hierrouter_jax.outcomes.rows import Rows

_INDEX = ("index", "idx", "id", "sample_id", "row", "row_id")


def models_of(
    file: Path, grid: Rows, known: tuple[str, ...], suffixes: Mapping[str, str], rows: Gatherer, telling: bool = True
) -> list[str]:
    """Names of the score columns, in the file's order.

    Where the file has columns of a model's name and one of the `suffixes`, its models are those that have one.
    Where it has none, they are the columns that hold a score. A column that is neither, nor `known`, nor an index that
    was saved with the rows, is noted, not read.

    Args:
      file: that the grid was read from.
      grid: its rows.
      known: columns that are no model's.
      suffixes: by column of the neutral frame, what its column adds to a model's name.
      rows: that a note is added to.
      telling: whether a model has such columns wherever another has; else any column with a score is one.

    Raises:
      InputError: if there is none.
    """
    names = [name for name in grid.columns if name not in known and not name.endswith(tuple(suffixes.values()))]
    names = [name for name in names if not is_index(name)]
    described = [
        name for name in names if telling and any(f"{name}{suffix}" in grid.columns for suffix in suffixes.values())
    ]
    models = described or [name for name in names if any(_is_score(record.get(name)) for _, record in grid.rows)]
    if not models:
        raise InputError(f"{file}: no column holds a model's scores; its columns are {', '.join(grid.columns)}")
    why = f"no column NAME{' or NAME'.join(suffixes.values())}" if described else "no score"
    if others := [name for name in names if name not in models]:
        rows.note(f"{file.name}: no models, as there is {why} of theirs: {', '.join(others)}")
    return models


def is_index(name: str) -> bool:
    """Whether a column is called as an index is that was saved with the rows."""
    stem, _, number = name.partition(":")
    unnamed = stem == "Unnamed" and number.strip().replace(".", "").isdigit()
    level = name.strip("_").removeprefix("index_").removeprefix("level_").isdigit() and "level_" in name
    return unnamed or level or name.strip().lower() in _INDEX


def add_row(
    rows: Gatherer, file: Path, number: int, record: Mapping[str, Any], query: dict[str, Any], models: list[str],
    suffixes: Mapping[str, str],
) -> None:  # fmt: skip
    """One outcome for each model of a row.

    Args:
      rows: that it is added to.
      file: where the row stands.
      number: of the row, from 0.
      record: its values by column.
      query: what all of its outcomes share.
      models: names of the score columns.
      suffixes: by column of the neutral frame, what its column adds to a model's name.
    """
    for model in models:
        more = {name: record.get(f"{model}{suffix}") for name, suffix in suffixes.items()}
        rows.add(file, number, query | {"model": model, "score": record.get(model)} | more, model)


def _is_score(value: Any) -> bool:
    if missing(value):
        return False
    return number_of(value)[0] is not None or str(value).strip().lower() in ("true", "false")
