"""Wide grids: one row a query, one column of scores a model, and further columns that a model's name begins."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers.records import Gatherer


def models_of(file: Path, grid: pd.DataFrame, known: tuple[str, ...], suffixes: tuple[str, ...]) -> list[str]:
    """Names of the score columns: neither `known` nor a model's name with one of the `suffixes`.

    Raises:
      InputError: if there is none.
    """
    models = [str(name) for name in grid.columns if name not in known and not str(name).endswith(suffixes)]
    if not models:
        raise InputError(f"{file}: no column holds a model's scores; its columns are {', '.join(map(str, grid))}")
    return models


def add_row(
    rows: Gatherer, file: Path, number: int, record: Mapping[Any, Any], query: dict[str, Any], models: list[str],
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
        rows.add(file, number, query | {"model": model, "score": record.get(model)} | more)
