"""Files of rows (JSON lines, JSON, CSV, Parquet, gzipped or not): the one reader of every verb, and queries by it."""

import csv
import gzip
import io
import re
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.outcomes.table import SPLITS, Query
from hierrouter_jax.outcomes.texts import NotText, as_text, decoded, gold_text, json_value, lines_of, unknown

MAX_UNPACKED = 1 << 32  # bytes of a .gz file's content: a small one may hold more than a memory does
TABULAR = (".jsonl", ".json", ".csv", ".parquet")
_RETURN = "\udc0d"  # stands for a carriage return inside a CSV: no decoded text holds half a surrogate pair

_WHOLE = ("text", "gold", "split")
_TEXTS = ("id", "text", "task", "split", "group")
_TRUTH = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}

Reject = Callable[[int, str], None]


@dataclass(frozen=True)
class Rows:
    """Rows of a file.

    Attributes:
      columns: names of all values, in order of first appearance.
      rows: number of each row from 0, and its values by column; a value that is not there is None or left out.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, Any]], ...]

    def need(self, path: Path, *names: str) -> None:
        """Refuse a file without some column.

        Raises:
          InputError: naming the column, and those that there are.
        """
        for name in names:
            if name not in self.columns:
                there = ", ".join(self.columns) or "none"
                raise InputError(
                    f"{path}: column {name!r} is missing; {', '.join(names)} {'is' if len(names) == 1 else 'are'} "
                    f"needed, its columns are {there}"
                )


def column_names(known: Iterable[str], columns: Mapping[str, str] | None) -> dict[str, str]:
    """The names of columns in a file by their names here: the same, but for those that `--columns` maps.

    Raises:
      InputError: if it maps one that is not known.
    """
    names = {name: name for name in known}
    stray = next((name for name in columns or {} if name not in names), None)
    if stray is not None:
        raise InputError(f"--columns: {stray} is not a column; {nearest(stray, names)}")
    return names | dict(columns or {})


def check_mapped(path: Path, columns: Mapping[str, str] | None, there: Iterable[str]) -> None:
    """Refuse `--columns` that map to a column that is not there: an optional one would silently stay empty.

    Args:
      path: the file or the folder.
      columns: names in the file by the names here.
      there: columns of the file, or of all files of the folder.

    Raises:
      InputError: naming the column, and the nearest that there is.
    """
    there = sorted(there)
    for name, column in (columns or {}).items():
        if there and column not in there:
            raise InputError(
                f"--columns: {name} is {column!r}, but no column of {path} is called so; {nearest(column, there)}"
            )


def kind(path: Path) -> str:
    """The suffix that says what a file holds: .jsonl of a .jsonl.gz."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked where it ends in .gz.

    Raises:
      InputError: if it is missing or cannot be read.
    """
    if path.exists() and not path.is_file():  # a pipe or a device may have no end
        raise InputError(f"{path}: is {'a folder' if path.is_dir() else 'no regular file'}, but must be a file")
    try:
        if path.suffix != ".gz":
            return path.read_bytes()
        with gzip.open(path) as unpacked:
            data = unpacked.read(MAX_UNPACKED + 1)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if len(data) > MAX_UNPACKED:
        raise InputError(f"{path}: unpacks to more than {MAX_UNPACKED:,} bytes; unpack it yourself if that is meant")
    return data


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte order mark at its start.

    Raises:
      InputError: if it is missing, or not UTF-8.
    """
    return decoded(read_bytes(path), path)


def read_document(path: Path) -> Any:
    """The content of a .json or .json.gz file.

    Raises:
      InputError: if it is missing or not JSON.
    """
    text = read_text(path)
    try:
        return json_value(text)
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None


def read_rows(path: Path, reject: Reject | None = None) -> Rows:
    """All rows of a file, every text as it is written there.

    Nothing is guessed: a CSV holds texts, and an empty cell of it is not there; a JSON number is shown as it is
    written; a Parquet value keeps its type. A column of a CSV without a name, as a saved index is, is left out.

    Args:
      path: path of a .jsonl (an object a line), .json (a list of objects, or an object a line), .csv or .parquet file,
        gzipped or not.
      reject: function that takes the number of a row that cannot be read, and why; without it the row is refused.

    Raises:
      InputError: naming the file, and the line or row at fault.
    """
    if kind(path) not in TABULAR:
        raise InputError(f"{path}: is no {', '.join(TABULAR[:-1])} or {TABULAR[-1]} file")

    def refuse(row: int, reason: str) -> None:
        raise InputError(f"{path}: row {row}: {reason}")

    if kind(path) == ".csv":
        return _csv(path, reject or refuse)
    if kind(path) == ".parquet":
        return _parquet(path)
    rows = tuple((_json_lines if kind(path) == ".jsonl" else _json_list)(path, reject or refuse))
    return Rows(tuple(dict.fromkeys(name for _, row in rows for name in row)), rows)


def read_queries(path: Path) -> tuple[Query, ...]:
    """Read queries with columns `text`, `gold` and `split`, and optionally `id`, `task`, `group` and `unseen`.

    Raises:
      InputError: naming the file, and the row and column at fault.
    """
    defaults = {"task": "queries", "group": "", "unseen": False}
    return tuple(_queries(path, _WHOLE, defaults, (*_TEXTS, "gold", "unseen")).values())


def read_questions(path: Path) -> tuple[Query, ...]:
    """Read queries that only want an answer: column `text`, and optionally `id` and `task` ("" where it is
    not said); they have no gold answer.

    Raises:
      InputError: naming the file, and the row and column at fault.
    """
    defaults = {"task": "", "gold": "", "split": "test", "group": "", "unseen": False}
    queries, seen = _queries(path, ("text",), defaults, ("id", "text", "task")), set()
    for row, query in queries.items():
        if query.id in seen:
            raise InputError(f"{path}: row {row}: id {query.id!r} occurs twice")
        seen.add(query.id)
    return tuple(queries.values())


def _json_lines(path: Path, reject: Reject) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines_of(read_text(path))):
        if not line.strip():
            continue
        try:
            value = json_value(line)
        except ValueError as error:
            reject(number, f"not valid JSON ({error})")
            continue
        yield from _objects([(number, value)], reject)


def _json_list(path: Path, reject: Reject) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a list; or, where the file does not begin one, an object a line as many data sets have it."""
    if not read_text(path).lstrip().startswith("["):
        yield from _json_lines(path, reject)
        return
    yield from _objects(enumerate(read_document(path)), reject)


def _objects(values: Iterable[tuple[int, Any]], reject: Reject) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, value in values:
        if isinstance(value, dict):
            yield number, value
        else:
            reject(number, f"is {value!r:.40}, but must be an object (name: value)")


def _csv(path: Path, reject: Reject) -> Rows:
    r"""Cells as they are written; rows end at \n or \r\n, and a lone \r is a character like any other."""
    text = re.sub(r"\r(?!\n)", _RETURN, read_text(path))
    csv.field_size_limit(sys.maxsize)  # the library's own bound is a shorter text than models write
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, dict[str, Any]]] = []
    try:
        header = [name.replace(_RETURN, "\r") for name in next((row for row in lines if row), [])]
        _refuse_twice(path, [name for name in header if name.strip()])
        for number, row in enumerate(row for row in lines if row):
            if len(row) > len(header):
                reject(number, f"has {len(row)} values, but the header names {len(header)} columns")
                continue
            cells = (cell.replace(_RETURN, "\r") or None for cell in row)
            rows.append((number, {name: cell for name, cell in zip(header, cells, strict=False) if name.strip()}))
    except csv.Error as error:
        raise InputError(f"{path}: line {lines.line_num}: not valid CSV ({error})") from None
    return Rows(tuple(name for name in header if name.strip()), tuple(rows))


def _parquet(path: Path) -> Rows:
    try:
        table = pq.read_table(pa.BufferReader(read_bytes(path)))
        names = table.column_names
        _refuse_twice(path, names)
        values = {name: table.column(name).to_pylist() for name in names}
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    rows = (dict(zip(names, row, strict=True)) for row in zip(*values.values(), strict=True))
    return Rows(tuple(names), tuple(enumerate(rows)))


def _refuse_twice(path: Path, names: list[str]) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"{path}: column {twice!r} occurs twice")


def _queries(path: Path, needed: tuple[str, ...], defaults: dict[str, Any], known: tuple[str, ...]) -> dict[int, Query]:
    """The queries of a file by the number of their row."""
    table = read_rows(path)
    if not table.rows:
        raise InputError(f"{path}: holds no queries")
    table.need(path, *needed)
    return {
        row: _query(
            f"{path}: row {row}",
            {name: record.get(name) for name in known},
            needed,
            defaults | {"id": f"query-{row:05d}"},
        )
        for row, record in table.rows
    }


def _query(where: str, record: dict[str, Any], needed: tuple[str, ...], defaults: dict[str, Any]) -> Query:
    """A row's query; what a row leaves out is as `defaults` say."""
    values: dict[str, Any] = dict(defaults)
    for name, value in record.items():
        if unknown(value):
            if name in needed:
                raise InputError(f"{where}: {name} is {'empty' if name == 'text' else 'missing'}")
            continue
        try:
            values[name] = gold_text(value) if name == "gold" else as_text(value)
        except NotText as error:
            raise InputError(f"{where}: {name} {error}") from None
    if not values["text"].strip():
        raise InputError(f"{where}: text is empty")
    if values["split"] not in SPLITS:
        raise InputError(f"{where}: split is {values['split']!r}, but must be one of {', '.join(SPLITS)}")
    unseen = str(values["unseen"]).strip().lower()
    if unseen not in _TRUTH:
        raise InputError(f"{where}: unseen is {values['unseen']!r}, but must be true or false")
    values["unseen"] = _TRUTH[unseen]
    return Query(**values)
