"""A user's own queries: one JSON object a line, CSV or Parquet."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import SPLITS, Query

_AS_WRITTEN: Any = False  # what looks like a number stays the text it is
_READERS = {
    ".jsonl": lambda path: pd.read_json(path, lines=True, dtype=_AS_WRITTEN),
    ".csv": pd.read_csv,
    ".parquet": pd.read_parquet,
}
TABULAR = tuple(_READERS)
_NEEDED = ("text", "gold", "split")


def read_queries(path: Path) -> tuple[Query, ...]:
    """Read queries with columns `text`, `gold` and `split`, and optionally `id`, `task`, `group` and `unseen`.

    Raises:
      InputError: naming the file, and the row and column at fault.
    """
    frame = _read(path)
    missing = [name for name in _NEEDED if name not in frame.columns]
    if missing:
        raise InputError(f"{path}: column {missing[0]!r} is missing; {', '.join(_NEEDED)} are needed")
    known = {field.name for field in fields(Query)} - {"shots"}
    defaults = {"task": "queries", "group": "", "unseen": False}
    return tuple(_query(path, row, record, known, defaults) for row, record in enumerate(frame.to_dict("records")))


def read_questions(path: Path) -> tuple[Query, ...]:
    """Read queries that only want an answer: column `text`, and optionally `id` and `task` ("" where it is
    not said); they have no gold answer.

    Raises:
      InputError: naming the file, and the row and column at fault.
    """
    frame = _read(path)
    if "text" not in frame.columns:
        raise InputError(f"{path}: column 'text' is missing")
    defaults = {"task": "", "gold": "", "split": "test", "group": "", "unseen": False}
    known = {"id", "text", "task"}
    rows = frame.to_dict("records")
    queries = tuple(_query(path, row, record, known, defaults) for row, record in enumerate(rows))
    ids = [query.id for query in queries]
    for row, name in enumerate(ids):
        if name in ids[:row]:
            raise InputError(f"{path}: row {row}: id {name!r} occurs twice")
    return queries


def _read(path: Path) -> pd.DataFrame:
    if path.suffix not in _READERS:
        raise InputError(f"{path}: queries are read from {', '.join(_READERS)} files")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        frame = _READERS[path.suffix](path)
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    if frame.empty:
        raise InputError(f"{path}: holds no queries")
    return frame


def _query(path: Path, row: int, record: dict, known: set[str], defaults: dict) -> Query:
    values: dict[str, Any] = defaults | {"id": f"query-{row:05d}"} | {k: v for k, v in record.items() if k in known}
    for name in known - {"unseen"}:
        value = values[name]
        if name != "gold" and not isinstance(value, str):
            raise InputError(f"{path}: row {row}: {name} is {value!r}, but must be text")
    if pd.isna(values["gold"]):
        raise InputError(f"{path}: row {row}: gold is missing")
    if values["split"] not in SPLITS:
        raise InputError(f"{path}: row {row}: split is {values['split']!r}, but must be one of {', '.join(SPLITS)}")
    if not values["text"].strip():
        raise InputError(f"{path}: row {row}: text is empty")
    return Query(**(values | {"gold": str(values["gold"]), "unseen": bool(values["unseen"])}))
