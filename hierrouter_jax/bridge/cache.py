"""Calls that were paid for once, and those that failed: one SQLite file, so that an interrupted collection goes on.

SQLite, and no other embedded store, because the standard library brings it: what ended together is one transaction, on
disk when it returns whatever kills the process, and several processes may share a file.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from hierrouter_jax.bridge.backends import Failure, Generation
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Prompt
from hierrouter_jax.sums import checked_rows, row_sum, write_ahead

SCHEMA_VERSION = 4
_ROWS_AT_ONCE = 500
_COLUMNS = ", ".join(Generation._fields)
_TABLES = (
    "CREATE TABLE models (id INTEGER PRIMARY KEY, identity TEXT UNIQUE)",
    "CREATE TABLE calls (key BLOB PRIMARY KEY, text TEXT, tokens_in INTEGER, tokens_out INTEGER, finish_reason TEXT, "
    "latency REAL, logprob REAL, model INTEGER, sum BLOB) WITHOUT ROWID",
    "CREATE TABLE failures (key BLOB PRIMARY KEY, model INTEGER, reason TEXT, attempts INTEGER, at TEXT, sum BLOB) "
    "WITHOUT ROWID",
)
# What makes a file of an earlier version one of this; its calls were paid for, too.
_SUMMED = "ALTER TABLE calls ADD COLUMN sum BLOB"
_NAMED = ("ALTER TABLE calls ADD COLUMN model INTEGER", *_TABLES[::2], _SUMMED)
_UPGRADES = {
    1: ("ALTER TABLE calls ADD COLUMN logprob REAL", *_NAMED),
    2: _NAMED,
    3: (_SUMMED, "ALTER TABLE failures ADD COLUMN sum BLOB"),
}
# Rows as their sums are made of them.
_CALLS = f"SELECT key, identity, {_COLUMNS}, sum FROM calls LEFT JOIN models ON model = id"
_FAILURES = "SELECT key, identity, reason, attempts, at, sum FROM failures LEFT JOIN models ON model = id"


class FailedCall(NamedTuple):
    """A call that has given no response so far.

    Attributes:
      identity: identity of the model's backend.
      reason: why it failed last, in one line.
      attempts: how many runs tried; a backend's own retries within one are not counted.
      at: time of the latest failure, UTC, ISO 8601.
    """

    identity: str
    reason: str
    attempts: int
    at: str


class KeptCall(NamedTuple):
    """A call as the file holds it, without its prompt.

    Attributes:
      key: `call_key` of model and prompt.
      identity: identity of the model's backend; None where a file of version 1 or 2 does not hold it.
      generation: the answer to the call.
    """

    key: bytes
    identity: str | None
    generation: Generation


class Spent(NamedTuple):
    """What a model's kept calls took."""

    calls: int
    tokens_in: int
    tokens_out: int


class CallCache:
    """Generations by model and prompt, kept across runs.

    A model is named by its backend's `identity` (weights and generation settings), so that a retrained model or
    another response length is never answered from an older model's calls. Several processes may share a file.

    Args:
      path: the file, made where there is none; None keeps the calls in memory only.

    Raises:
      InputError: if the file is not such a cache, on opening or later.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        with self._readable():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path or ":memory:", timeout=60, isolation_level=None)
            with self._transaction():
                self._make_or_check()
            write_ahead(self._connection)
            self._connection.execute("PRAGMA synchronous = FULL")

    def get_many(self, identity: str, prompts: Sequence[Prompt]) -> dict[Prompt, Generation]:
        """The prompts that were answered before, with their generations."""
        known: dict[Prompt, Generation] = {}
        with self._readable():
            for start in range(0, len(prompts), _ROWS_AT_ONCE):
                by_key = {call_key(identity, prompt): prompt for prompt in prompts[start : start + _ROWS_AT_ONCE]}
                marks = ", ".join("?" * len(by_key))
                rows = self._connection.execute(f"{_CALLS} WHERE key IN ({marks})", [*by_key])
                checked = checked_rows(self.path, "calls", rows)
                # A broken index gives rows of other keys.
                known |= {by_key[key]: Generation(*values) for key, _, *values in checked if key in by_key}
        return known

    def failed(self, identity: str, prompts: Sequence[Prompt]) -> frozenset[Prompt]:
        """Those of the prompts that an earlier run had no answer to, either."""
        with self._readable():
            failed = {key for key, *_ in checked_rows(self.path, "failures", self._connection.execute(_FAILURES))}
        return frozenset(prompt for prompt in prompts if call_key(identity, prompt) in failed)

    def put_many(self, identity: str, answers: Mapping[Prompt, Generation | Failure]) -> None:
        """Keep a batch's answers by prompt: all of them, on disk when this returns, or none.

        A generation ends the record of the call's failures; a failure adds an attempt to it.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._readable(), self._transaction():
            model = self._model(identity)
            by_key = {call_key(identity, prompt): answer for prompt, answer in answers.items()}
            calls = [(key, answer) for key, answer in by_key.items() if isinstance(answer, Generation)]
            many = self._connection.executemany
            many(f"INSERT OR REPLACE {_INTO_CALLS}", [_call_row(key, identity, one, model) for key, one in calls])
            many("DELETE FROM failures WHERE key = ?", [(key,) for key, _ in calls])
            for key, answer in by_key.items():
                if isinstance(answer, Failure):
                    self._add_failure(key, identity, model, answer.reason, now)

    def kept_calls(self) -> list[KeptCall]:
        """All calls that gave a response, as they stand at one moment, in the order of their keys."""
        with self._readable():
            rows = self._connection.execute(f"{_CALLS} ORDER BY key").fetchall()
        checked = checked_rows(self.path, "calls", rows)
        return [KeptCall(key, identity, Generation(*values)) for key, identity, *values in checked]

    def keep(self, calls: Iterable[KeptCall]) -> int:
        """Add calls that were kept elsewhere, all or none; one that the file holds already stays as it is.

        Returns:
          How many were new. Records of their failures end.
        """
        execute, new = self._connection.execute, 0
        with self._readable(), self._transaction():
            for call in calls:
                model = None if call.identity is None else self._model(call.identity)
                row = _call_row(call.key, call.identity, call.generation, model)
                new += execute(f"INSERT OR IGNORE {_INTO_CALLS}", row).rowcount
                execute("DELETE FROM failures WHERE key = ?", (call.key,))
        return new

    def failures(self) -> list[FailedCall]:
        """Calls that failed whenever they were tried, the latest first."""
        with self._readable():
            rows = self._connection.execute(f"{_FAILURES} ORDER BY at DESC, reason").fetchall()
        return [FailedCall(*row) for _, *row in checked_rows(self.path, "failures", rows)]

    def spent(self, identity: str) -> Spent:
        """What all kept calls of a model took, in whichever run; those of a file of version 1 or 2 do not count."""
        query = (
            "SELECT count(*), coalesce(sum(tokens_in), 0), coalesce(sum(tokens_out), 0) FROM calls "
            "WHERE model = (SELECT id FROM models WHERE identity = ?)"
        )
        with self._readable():
            return Spent(*self._connection.execute(query, [identity]).fetchone())

    @property
    def num_calls(self) -> int:
        with self._readable():
            return self._connection.execute("SELECT count(*) FROM calls").fetchone()[0]

    def close(self) -> None:
        self._connection.close()

    def _model(self, identity: str) -> int:
        execute = self._connection.execute
        execute("INSERT OR IGNORE INTO models (identity) VALUES (?)", [identity])
        return execute("SELECT id FROM models WHERE identity = ?", [identity]).fetchone()[0]

    def _add_failure(self, key: bytes, identity: str, model: int, reason: str, now: str) -> None:
        execute = self._connection.execute
        before = execute("SELECT attempts FROM failures WHERE key = ?", (key,)).fetchone()
        attempts = 1 + (before[0] if before else 0)
        digest = row_sum(key, identity, reason, attempts, now)
        row = (key, model, reason, attempts, now, digest)
        execute(
            "INSERT OR REPLACE INTO failures (key, model, reason, attempts, at, sum) VALUES (?, ?, ?, ?, ?, ?)", row
        )

    def _make_or_check(self) -> None:
        """Make the tables of a new file, add what an earlier version lacks; refuse a file that is something else."""
        execute = self._connection.execute
        version = execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            changes = _TABLES
        elif version == SCHEMA_VERSION:
            return
        elif version in _UPGRADES and execute("SELECT 1 FROM sqlite_master WHERE name = 'calls'").fetchone():
            changes = _UPGRADES[version]
        else:
            raise InputError(f"{self.path}: a SQLite file, but not a call cache of this version; name another file")
        for change in changes:
            execute(change)
        for table, query in (("calls", _CALLS), ("failures", _FAILURES)):  # rows of an earlier version have no sums
            sums = [(row_sum(*values), values[0]) for *values, _ in execute(query).fetchall()]
            self._connection.executemany(f"UPDATE {table} SET sum = ? WHERE key = ?", sums)
        execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of the statements inside, or none."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self.path}: cannot be used as the call cache ({error}); name another file") from None


_INTO_CALLS = f"INTO calls (key, {_COLUMNS}, model, sum) VALUES (?, {'?, ' * len(Generation._fields)}?, ?)"


def _call_row(key: bytes, identity: str | None, answer: Generation, model: int | None) -> tuple[Any, ...]:
    """A row of `calls`, its sum made of what SQLite will give back: fractions where a column holds them."""
    fractions = {name: value for name in ("latency", "logprob") if (value := getattr(answer, name)) is not None}
    values = answer._replace(**{name: float(value) for name, value in fractions.items()})
    return (key, *answer, model, row_sum(key, identity, *values))


def call_key(identity: str, prompt: Prompt) -> bytes:
    """What names a call: SHA-256 of model and prompt, their border kept; a chat never has the key of a text."""
    text = prompt if isinstance(prompt, str) else f"\0{json.dumps(prompt)}"
    return hashlib.sha256(f"{len(identity)}:{identity}{text}".encode()).digest()
