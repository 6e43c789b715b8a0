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
from typing import NamedTuple

from hierrouter_jax.bridge.backends import Failure, Generation
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Prompt

SCHEMA_VERSION = 3
_ROWS_AT_ONCE = 500
_COLUMNS = ", ".join(Generation._fields)
_TABLES = (
    "CREATE TABLE models (id INTEGER PRIMARY KEY, identity TEXT UNIQUE)",
    "CREATE TABLE calls (key BLOB PRIMARY KEY, text TEXT, tokens_in INTEGER, tokens_out INTEGER, finish_reason TEXT, "
    "latency REAL, logprob REAL, model INTEGER) WITHOUT ROWID",
    "CREATE TABLE failures (key BLOB PRIMARY KEY, model INTEGER, reason TEXT, attempts INTEGER, at TEXT) WITHOUT ROWID",
)
# What makes a file of an earlier version one of this; its calls were paid for, too.
_UPGRADES = {
    1: ("ALTER TABLE calls ADD COLUMN logprob REAL", "ALTER TABLE calls ADD COLUMN model INTEGER", *_TABLES[::2]),
    2: ("ALTER TABLE calls ADD COLUMN model INTEGER", *_TABLES[::2]),
}


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
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")

    def get_many(self, identity: str, prompts: Sequence[Prompt]) -> dict[Prompt, Generation]:
        """The prompts that were answered before, with their generations."""
        known: dict[Prompt, Generation] = {}
        with self._readable():
            for start in range(0, len(prompts), _ROWS_AT_ONCE):
                by_key = {call_key(identity, prompt): prompt for prompt in prompts[start : start + _ROWS_AT_ONCE]}
                marks = ", ".join("?" * len(by_key))
                rows = self._connection.execute(f"SELECT key, {_COLUMNS} FROM calls WHERE key IN ({marks})", [*by_key])
                known |= {by_key[key]: Generation(*values) for key, *values in rows}
        return known

    def failed(self, identity: str, prompts: Sequence[Prompt]) -> frozenset[Prompt]:
        """Those of the prompts that an earlier run had no answer to, either."""
        with self._readable():
            failed = {row[0] for row in self._connection.execute("SELECT key FROM failures")}
        return frozenset(prompt for prompt in prompts if call_key(identity, prompt) in failed)

    def put_many(self, identity: str, answers: Mapping[Prompt, Generation | Failure]) -> None:
        """Keep a batch's answers by prompt: all of them, on disk when this returns, or none.

        A generation ends the record of the call's failures; a failure adds an attempt to it.
        """
        marks = ", ".join("?" * (2 + len(Generation._fields)))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._readable(), self._transaction():
            model = self._model(identity)
            by_key = {call_key(identity, prompt): answer for prompt, answer in answers.items()}
            calls = [(key, *answer, model) for key, answer in by_key.items() if isinstance(answer, Generation)]
            failed = [(key, model, answer.reason, now) for key, answer in by_key.items() if isinstance(answer, Failure)]
            many = self._connection.executemany
            many(f"INSERT OR REPLACE INTO calls (key, {_COLUMNS}, model) VALUES ({marks})", calls)
            many("DELETE FROM failures WHERE key = ?", [(key,) for key, *_ in calls])
            many(
                "INSERT INTO failures (key, model, reason, attempts, at) VALUES (?, ?, ?, 1, ?) ON CONFLICT (key) DO "
                "UPDATE SET reason = excluded.reason, attempts = attempts + 1, at = excluded.at",
                failed,
            )

    def kept_calls(self) -> list[KeptCall]:
        """All calls that gave a response, as they stand at one moment, in the order of their keys."""
        query = f"SELECT key, identity, {_COLUMNS} FROM calls LEFT JOIN models ON model = id ORDER BY key"
        with self._readable():
            rows = self._connection.execute(query).fetchall()
        return [KeptCall(key, identity, Generation(*values)) for key, identity, *values in rows]

    def keep(self, calls: Iterable[KeptCall]) -> int:
        """Add calls that were kept elsewhere, all or none; one that the file holds already stays as it is.

        Returns:
          How many were new. Records of their failures end.
        """
        marks = ", ".join("?" * (2 + len(Generation._fields)))
        execute, new = self._connection.execute, 0
        with self._readable(), self._transaction():
            for call in calls:
                model = None if call.identity is None else self._model(call.identity)
                insert = f"INSERT OR IGNORE INTO calls (key, {_COLUMNS}, model) VALUES ({marks})"
                new += execute(insert, (call.key, *call.generation, model)).rowcount
                execute("DELETE FROM failures WHERE key = ?", (call.key,))
        return new

    def failures(self) -> list[FailedCall]:
        """Calls that failed whenever they were tried, the latest first."""
        query = "SELECT identity, reason, attempts, at FROM failures JOIN models ON model = id ORDER BY at DESC, reason"
        with self._readable():
            return [FailedCall(*row) for row in self._connection.execute(query)]

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
        except (sqlite3.Error, OSError) as error:
            raise InputError(f"{self.path}: cannot be used as the call cache ({error}); name another file") from None


def call_key(identity: str, prompt: Prompt) -> bytes:
    """What names a call: SHA-256 of model and prompt, their border kept; a chat never has the key of a text."""
    text = prompt if isinstance(prompt, str) else f"\0{json.dumps(prompt)}"
    return hashlib.sha256(f"{len(identity)}:{identity}{text}".encode()).digest()
