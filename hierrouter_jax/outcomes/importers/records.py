"""The neutral long frame that every format is read into: one row a query and hop, and what could not be read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers.routes import ARROW, read_route, with_prefixes
from hierrouter_jax.outcomes.importers.scales import Beyond, Scales, Stated, number_of
from hierrouter_jax.outcomes.rows import Rows, read_document, read_rows
from hierrouter_jax.outcomes.table import SPLITS
from hierrouter_jax.outcomes.texts import NotText, as_text, gold_text, unknown
from hierrouter_jax.sums import file_sum

# pandas has no types of its own: what a frame gives is a union of everything to a checker.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false


OPTIONAL = ("response", "tokens_in", "tokens_out", "cost", "latency", "split", "route")
COLUMNS = ("query_id", "query", "task", "gold", "model", "score", *OPTIONAL)
WHOLE = "top level"  # where a file's fault is no row's
ROW_FILES = ("*.csv", "*.csv.gz", "*.jsonl", "*.jsonl.gz", "*.parquet")  # in a folder; .json there is often another
_SPLIT_NAMES = {name: name for name in SPLITS} | {"val": "validation", "valid": "validation", "dev": "validation"}


@dataclass(frozen=True)
class Rejected:
    """A row that is not imported.

    Attributes:
      file: name of the file that it stands in.
      row: number of the row from 0, or its key.
      reason: what is wrong, in one phrase.
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
      frame: table with `COLUMNS`, one row for each outcome; an optional value that is not there is None.
      rejected: the rows that could not be read.
      files: all files that were read, by their names below the path that was given.
      prices: prices that stand beside the outcomes, by model.
      money_unit: unit of those prices, or of the costs in the frame.
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


def place(file: str, row: str) -> str:
    """Where a fault lies, for a person."""
    return file if row == WHOLE else f"{file} row {row}"


class Gatherer:
    """Collects outcomes row by row; what is wrong with a row is noted, not raised.

    Args:
      root: the folder that files are named from.
      scales: scales that the scores are on.
    """

    def __init__(self, root: Path, scales: Stated = None) -> None:
        self._root = root if root.is_dir() else root.parent
        self._scales = Scales(scales)
        self._notes: list[str] = []
        self._rows: list[dict[str, Any]] = []
        self._rejected: list[Rejected] = []
        self._texts: dict[str, tuple[str, str, Any]] = {}
        self._seen: set[tuple[str, tuple[str, ...]]] = set()
        self._places: list[tuple[Path, Any]] = []  # of the rows

    def add(self, file: Path, row: Any, values: dict[str, Any], column: str = "score") -> None:
        """Take one outcome; `values` holds `COLUMNS`, of which the `OPTIONAL` ones may be left out.

        A row without a score is an outcome that is not there: its cell is masked. A query without any score is left
        out of a table, which a note says.

        Args:
          file: the file that it stands in.
          row: number or key of the row there.
          values: values by column of the neutral frame.
          column: the file's own name for the score.

        Raises:
          InputError: if the score is outside 0 to 1 and no scale is stated.
        """
        try:
            cleaned = _clean(values)
            cleaned["score"] = self._score(file, row, values.get("score"), column)
            self._check_query(cleaned)
        except _Unreadable as error:
            self.reject(file, row, str(error))
            return
        key = (cleaned["query_id"], cleaned["route"])
        if key in self._seen:
            shown = f" {ARROW} ".join(key[1])
            self.reject(file, row, f"a second outcome of {shown!r} for query {key[0]!r}; the first is kept")
            return
        self._seen.add(key)
        self._rows.append(cleaned)
        self._places.append((file, row))

    def reject(self, file: Path, row: Any, reason: str) -> None:
        self._rejected.append(Rejected(self.name(file), str(row), reason))

    def leave_out(self, file: Path, reason: str) -> None:
        """Reject a whole file, and note it."""
        self.reject(file, WHOLE, reason)
        self.note(f"{self.name(file)}: {reason}; left out")

    def document(self, file: Path) -> Any:
        """The content of a JSON file; None where it cannot be read, and is left out."""
        try:
            return read_document(file)
        except InputError as error:
            self.leave_out(file, str(error).removeprefix(f"{file}: "))
            return None

    def note(self, sentence: str) -> None:
        """Keep a sentence that the reader of the table should know, once."""
        if sentence not in self._notes:
            self._notes.append(sentence)

    def records(self, files: list[Path], **more: Any) -> Records:
        """Everything that was added.

        Raises:
          InputError: if nothing could be read.
        """
        whole, orphans = with_prefixes(self._rows)
        for index, gap in orphans:
            query = self._rows[index]["query_id"]
            self.reject(
                *self._places[index], f"query {query!r} has no outcome of the hop {f' {ARROW} '.join(gap)!r} before"
            )
        rows = [self._rows[index] for index in whole]
        if not any(row["score"] is not None for row in rows):
            first = next((f"; the first: {place(row.file, row.row)}: {row.reason}" for row in self._rejected), "")
            raise InputError(f"{self._root}: no outcome can be read ({len(self._rejected)} rows are unreadable{first})")
        self._scales.check()
        frame = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
        marked = sum("\ufffd" in (row["query"] + (row["response"] or "")) for row in rows)
        if marked:
            self.note(
                f"{marked:,} outcomes hold U+FFFD, the mark of a character that could not be read, in their query or "
                "response; a half of a surrogate pair is read as it"
            )
        notes = (*more.pop("notes", ()), *self._notes)
        return Records(frame, tuple(self._rejected), {self.name(file): file for file in files}, notes=notes, **more)

    def name(self, file: Path) -> str:
        """A file as it is called in reports: below the folder that is imported, where it lies there."""
        return str(file.relative_to(self._root) if file.is_relative_to(self._root) else file)

    def _score(self, file: Path, row: Any, value: Any, column: str) -> float | None:
        if missing(value):
            return None
        try:
            score = self._scales.quality(value, column)
        except Beyond as error:
            raise _Unreadable(f"{column} {error}") from None
        except InputError as error:
            raise InputError(f"{file}: row {row}: {error}") from None
        if score is None:
            raise _Unreadable(f"{column} is {value!r:.40}, but must be a number in [0, 1]")
        return score

    def _check_query(self, values: dict[str, Any]) -> None:
        """A query has one text, one task and one split however many models answered it."""
        query = (values["query"], values["task"], values["split"])
        known = self._texts.setdefault(values["query_id"], query)
        for name, one, other in zip(("text", "task", "split"), known, query, strict=True):
            if one != other:
                raise _Unreadable(f"query {values['query_id']!r} has another {name} in an earlier row")


class _Unreadable(ValueError):
    """Why a row cannot be imported."""


def missing(value: Any) -> bool:
    """Whether a cell of a file is empty."""
    return unknown(value) or value is pd.NA or (isinstance(value, str) and not value)


def _clean(values: dict[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = {name: None if missing(values.get(name)) else values[name] for name in COLUMNS}
    for name in ("query", "query_id", "task", "model"):
        cleaned[name] = "" if cleaned[name] is None else _text(cleaned[name], name)
        if not cleaned[name].strip():
            raise _Unreadable(f"{name} is empty")
    cleaned["gold"] = "" if cleaned["gold"] is None else _text(cleaned["gold"], "gold", gold_text)
    response = values.get("response")  # an answer of no characters is one, an empty cell of a CSV is none
    cleaned["response"] = "" if response == "" else None if missing(response) else _text(response, "response")
    for name in ("tokens_in", "tokens_out", "cost", "latency"):
        cleaned[name] = _number(cleaned[name], name)
    for name in ("tokens_in", "tokens_out"):
        if cleaned[name] is not None:
            if not (cleaned[name].is_integer() and cleaned[name] < 2**31):
                raise _Unreadable(f"{name} is {cleaned[name]!r}, but must be a whole number")
            cleaned[name] = int(cleaned[name])
    try:
        cleaned["route"] = (cleaned["model"],) if missing(values.get("route")) else read_route(values["route"])
    except ValueError as error:
        raise _Unreadable(f"route {error}") from None
    if cleaned["route"][-1] != cleaned["model"]:
        raise _Unreadable(
            f"route ends in {cleaned['route'][-1]!r}, but must end in the row's model {cleaned['model']!r}"
        )
    if cleaned["split"] is not None:
        if str(cleaned["split"]).lower() not in _SPLIT_NAMES:
            raise _Unreadable(f"split is {cleaned['split']!r}, but must be one of {', '.join(SPLITS)}")
        cleaned["split"] = _SPLIT_NAMES[str(cleaned["split"]).lower()]
    return cleaned


def _text(value: Any, name: str, read: Callable[[Any], str] = as_text) -> str:
    try:
        return read(value)
    except NotText as error:
        raise _Unreadable(f"{name} {error}") from None


def _number(value: Any, name: str) -> float | None:
    if value is None:
        return None
    number, percent = (None, False) if isinstance(value, bool) else number_of(value)
    if number is None or percent or number < 0:
        raise _Unreadable(f"{name} is {value!r:.40}, but must be a number of at least 0")
    return number


_PICKLES = (".pkl", ".pickle", ".p")


def outcome_rows(path: Path, into: Gatherer) -> Rows:
    """The rows of a file of outcomes; those that cannot be read are rejected `into`.

    Raises:
      InputError: if the file cannot be read; a pickle never is, because reading it runs what it holds.
    """
    if path.suffix in _PICKLES:
        raise InputError(
            f"{path}: is a pickle, which runs code when it is read, so it is not; whoever trusts it converts it with "
            f"python -c \"import pandas; pandas.read_pickle('{path.name}').to_parquet('{path.stem}.parquet')\""
        )
    return read_rows(path, lambda row, reason: into.reject(path, row, reason))


def source_files(path: Path, *patterns: str) -> list[Path]:
    """`path` itself where it is a file, or the files below it that match, in order of name.

    Raises:
      InputError: if there are none.
    """
    if path.is_file():
        return [path]
    files = sorted({file for pattern in patterns for file in path.glob(pattern) if file.is_file()})
    if not files:
        reason = f"holds no {' or '.join(patterns)}" if path.is_dir() else "no such file or folder"
        raise InputError(f"{path}: {reason}")
    return files


def stem(path: Path) -> str:
    """The file's name without .json, .json.gz and the like."""
    name = path.name.removesuffix(".gz")
    return name.rpartition(".")[0] or name


def digest(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file, for the record."""
    return {"bytes": path.stat().st_size, "sha256": file_sum(path)}
