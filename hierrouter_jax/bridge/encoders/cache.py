"""Texts that were embedded once: a SQLite file of vectors, so that no table and no restart embeds them again."""

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hierrouter_jax.errors import InputError
from hierrouter_jax.sums import checked_rows, row_sum, write_ahead

SCHEMA_VERSION = 2
_ROWS_AT_ONCE = 500
_DTYPE = "<f4"


class EmbeddingCache:
    """Embeddings by model and text, kept across runs.

    The key is the SHA-256 of the model's `identity` (weights, tokenizer, truncation) and the text, so that another
    model or another truncation is never answered from an older one's vectors. Several processes may share a file.

    Args:
      path: the file, made where there is none.

    Raises:
      InputError: if the file is not such a cache, on opening or later.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._readable():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=60)
            self._make_or_check()

    def get_many(self, identity: str, texts: Sequence[str]) -> dict[str, Float[np.ndarray, " H"]]:
        """The texts that were embedded before, with their embeddings."""
        known: dict[str, np.ndarray] = {}
        with self._readable():
            for start in range(0, len(texts), _ROWS_AT_ONCE):
                by_key = {_key(identity, text): text for text in texts[start : start + _ROWS_AT_ONCE]}
                marks = ", ".join("?" * len(by_key))
                rows = self._connection.execute(f"SELECT * FROM texts WHERE key IN ({marks})", [*by_key])
                for key, vector in checked_rows(self._path, "texts", rows):
                    if key in by_key:  # a broken index gives rows of other keys
                        known[by_key[key]] = np.frombuffer(vector, dtype=_DTYPE)
        return known

    def put_many(self, identity: str, embeddings: Mapping[str, Float[np.ndarray, " H"]]) -> None:
        """Keep embeddings by text: all of them or none."""
        pairs = [(_key(identity, text), vector.astype(_DTYPE).tobytes()) for text, vector in embeddings.items()]
        rows = [(*pair, row_sum(*pair)) for pair in pairs]
        with self._readable(), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", rows)

    def close(self) -> None:
        self._connection.close()

    def _make_or_check(self) -> None:
        """Make the table in a new file; refuse a file that is something else."""
        execute = self._connection.execute
        with self._connection:
            execute("BEGIN IMMEDIATE")
            version = execute("PRAGMA user_version").fetchone()[0]
            ours = execute("SELECT count(*) FROM sqlite_master WHERE name = 'texts'").fetchone()[0]
            if version == 1 and ours:  # its rows have no sums; embeddings can be made again
                execute("DROP TABLE texts")
            if (version == 1 and ours) or (
                version == 0 and not execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            ):
                execute("CREATE TABLE texts (key BLOB PRIMARY KEY, vector BLOB, sum BLOB) WITHOUT ROWID")
                execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION or not ours:
                raise InputError(f"{self._path}: not an embedding cache of this version; name another file")
        # Embeddings can be made again: a lost last batch is no loss, and a sync for each would be.
        write_ahead(self._connection)
        self._connection.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            reason = f"{self._path}: cannot be used as the embedding cache ({error}); name another file"
            raise InputError(reason) from None


def _key(identity: str, text: str) -> bytes:
    """SHA-256 of both, their border kept."""
    return hashlib.sha256(f"{len(identity)}:{identity}{text}".encode("utf-8", "surrogatepass")).digest()
