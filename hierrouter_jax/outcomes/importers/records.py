"""The neutral long frame that every format is read into: one row a query and model, and what could not be read."""

# pandas has no types of its own: what a frame gives is a union of everything to a checker.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import SPLITS

OPTIONAL = ("response", "tokens_in", "tokens_out", "cost", "latency", "split")
COLUMNS = ("query_id", "query", "task", "gold", "model", "score", *OPTIONAL)
_SPLIT_NAMES = {name: name for name in SPLITS} | {"val": "validation", "valid": "validation", "dev": "validation"}
_TRUTH = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class Rejected:
    """A row that is not imported.

    Attributes:
      file: where it stands.
      row: its number from 0, or its key.
      reason: one phrase.
    """

    file: str
    row: str
    reason: str


@dataclass(frozen=True)
class Price:
    """Money per token read and per token written."""

    price_in: float
    price_out: float


@dataclass(frozen=True)
class Records:
    """What a format gave.

    Attributes:
      frame: `COLUMNS`, one row for each outcome that is there; an optional value that is not there is None.
      rejected: rows that could not be read.
      files: all that were read, by their names below the path that was given.
      prices: those that stand beside the outcomes, by model.
      money_unit: of those prices, or of the costs in the frame.
      notes: sentences about this source that its reader should know.
      public_test: whether the queries come from public test files, so that any training on them is for development.
    """

    frame: pd.DataFrame
    rejected: tuple[Rejected, ...]
    files: dict[str, Path]
    prices: dict[str, Price] = field(default_factory=dict)
    money_unit: str | None = None
    notes: tuple[str, ...] = ()
    public_test: bool = False


class Gatherer:
    """Collects outcomes row by row; what is wrong with a row is noted, not raised.

    Args:
      root: folder that files are named from.
    """

    def __init__(self, root: Path) -> None:
        self._root = root if root.is_dir() else root.parent
        self._rows: list[dict[str, Any]] = []
        self._rejected: list[Rejected] = []
        self._texts: dict[str, tuple[str, str, Any]] = {}
        self._seen: set[tuple[str, str]] = set()

    def add(self, file: Path, row: Any, values: dict[str, Any]) -> None:
        """Take one outcome; `values` holds `COLUMNS`, of which the `OPTIONAL` ones may be left out.

        A row without a score is an outcome that is not there: its query is kept, its cell is masked.
        """
        try:
            cleaned = _clean(values)
            self._check_query(cleaned)
        except _Unreadable as error:
            self.reject(file, row, str(error))
            return
        key = (cleaned["query_id"], cleaned["model"])
        if key in self._seen:
            self.reject(file, row, f"a second outcome of {key[1]!r} for query {key[0]!r}; the first is kept")
            return
        self._seen.add(key)
        self._rows.append(cleaned)

    def reject(self, file: Path, row: Any, reason: str) -> None:
        self._rejected.append(Rejected(self._name(file), str(row), reason))

    def records(self, files: list[Path], **more: Any) -> Records:
        """Everything that was added.

        Raises:
          InputError: if nothing could be read.
        """
        if not any(row["score"] is not None for row in self._rows):
            first = next((f"; the first: {row.file} row {row.row}: {row.reason}" for row in self._rejected), "")
            raise InputError(f"{self._root}: no outcome can be read ({len(self._rejected)} rows are unreadable{first})")
        frame = pd.DataFrame(self._rows, columns=list(COLUMNS), dtype=object)
        return Records(frame, tuple(self._rejected), {self._name(file): file for file in files}, **more)

    def _name(self, file: Path) -> str:
        return str(file.relative_to(self._root))

    def _check_query(self, values: dict[str, Any]) -> None:
        """A query has one text, one task and one split however many models answered it."""
        told = (values["query"], values["task"], values["split"])
        known = self._texts.setdefault(values["query_id"], told)
        for name, one, other in zip(("text", "task", "split"), known, told, strict=True):
            if one != other:
                raise _Unreadable(f"query {values['query_id']!r} has another {name} in an earlier row")


class _Unreadable(ValueError):
    """Why a row cannot be imported."""


def missing(value: Any) -> bool:
    """Whether a cell of a file is empty."""
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)) or value == ""


def _clean(values: dict[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = {name: None if missing(values.get(name)) else values[name] for name in COLUMNS}
    for name in ("query_id", "query", "task", "model"):
        cleaned[name] = "" if cleaned[name] is None else str(cleaned[name])
        if not cleaned[name].strip():
            raise _Unreadable(f"{name} is empty")
    cleaned["gold"] = "" if cleaned["gold"] is None else str(cleaned["gold"])
    cleaned["score"] = _number(cleaned["score"], "score", 1.0)
    if cleaned["response"] is not None and not isinstance(cleaned["response"], str):
        raise _Unreadable(f"response is {cleaned['response']!r:.40}, but must be text")
    for name in ("tokens_in", "tokens_out", "cost", "latency"):
        cleaned[name] = _number(cleaned[name], name, math.inf)
    for name in ("tokens_in", "tokens_out"):
        if cleaned[name] is not None:
            if not (cleaned[name].is_integer() and cleaned[name] < 2**31):
                raise _Unreadable(f"{name} is {cleaned[name]!r}, but must be a whole number")
            cleaned[name] = int(cleaned[name])
    if cleaned["split"] is not None:
        if str(cleaned["split"]).lower() not in _SPLIT_NAMES:
            raise _Unreadable(f"split is {cleaned['split']!r}, but must be one of {', '.join(SPLITS)}")
        cleaned["split"] = _SPLIT_NAMES[str(cleaned["split"]).lower()]
    return cleaned


def _number(value: Any, name: str, most: float) -> float | None:
    """A number of at least 0; true and false are 1 and 0."""
    if value is None:
        return None
    try:
        number = _TRUTH.get(value.strip().lower(), value) if isinstance(value, str) else value
        number = float(number)
    except (TypeError, ValueError):
        number = math.nan
    if not (0 <= number <= most and math.isfinite(number)):
        within = "in [0, 1]" if most == 1 else "of at least 0"
        raise _Unreadable(f"{name} is {value!r:.40}, but must be a number {within}")
    return number
