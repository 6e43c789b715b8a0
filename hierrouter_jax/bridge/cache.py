"""Calls that were paid for once: a SQLite file of generations, so that an interrupted collection goes on."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hierrouter_jax.bridge.backends import Generation
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.context import Prompt

SCHEMA_VERSION = 2
_ROWS_AT_ONCE = 500
_COLUMNS = ", ".join(Generation._fields)


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
        self._path = path
        with self._readable():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path or ":memory:", timeout=60, isolation_level=None)
            with self._transaction():
                self._make_or_check()
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")

    def get_many(self, identity: str, prompts: Sequence[Prompt]) -> dict[Prompt, Generation]:
        """The prompts that were asked before, with their generations."""
        found: dict[Prompt, Generation] = {}
        with self._readable():
            for start in range(0, len(prompts), _ROWS_AT_ONCE):
                by_key = {_key(identity, prompt): prompt for prompt in prompts[start : start + _ROWS_AT_ONCE]}
                marks = ", ".join("?" * len(by_key))
                rows = self._connection.execute(f"SELECT key, {_COLUMNS} FROM calls WHERE key IN ({marks})", [*by_key])
                found |= {by_key[key]: Generation(*values) for key, *values in rows}
        return found

    def put_many(self, identity: str, generations: Mapping[Prompt, Generation]) -> None:
        """Keep generations by prompt: all of them, on disk when this returns, or none."""
        marks = ", ".join("?" * (1 + len(Generation._fields)))
        rows = [(_key(identity, prompt), *generation) for prompt, generation in generations.items()]
        with self._readable(), self._transaction():
            self._connection.executemany(f"INSERT OR REPLACE INTO calls (key, {_COLUMNS}) VALUES ({marks})", rows)

    @property
    def num_calls(self) -> int:
        with self._readable():
            return self._connection.execute("SELECT count(*) FROM calls").fetchone()[0]

    def close(self) -> None:
        self._connection.close()

    def _make_or_check(self) -> None:
        """Make the table in a new file; refuse a file that is something else."""
        execute = self._connection.execute
        version = execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            columns = "text TEXT, tokens_in INTEGER, tokens_out INTEGER, finish_reason TEXT, latency REAL, logprob REAL"
            execute(f"CREATE TABLE calls (key BLOB PRIMARY KEY, {columns}) WITHOUT ROWID")
            execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise InputError(f"{self._path}: a SQLite file, but not a call cache of this version; name another file")

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
            raise InputError(f"{self._path}: cannot be used as the call cache ({error}); name another file") from None


def _key(identity: str, prompt: Prompt) -> bytes:
    """SHA-256 of both, their border kept; a chat never has the key of a text."""
    said = prompt if isinstance(prompt, str) else f"\0{json.dumps(prompt)}"
    return hashlib.sha256(f"{len(identity)}:{identity}{said}".encode()).digest()
