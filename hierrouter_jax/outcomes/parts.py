"""The files of a table's folder: split into parts small enough for any git host, and replaced all at once."""

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Int
from safetensors.numpy import save

from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_tensors, replacing, write_json
from hierrouter_jax.outcomes.shipped import HEADER
from hierrouter_jax.sums import drop_sums, sign

MAX_PART_BYTES = 1_100_000
_LEVEL = 12  # of zstd; the highest packs 5 % better and takes eight times as long
_HEADER_BYTES = 1_000  # of a safetensors file, and more
_INDEX, _PART = "index.safetensors", re.compile(r"part-\d{5}\.safetensors")


def parquet_parts(rows: pa.Table, most: int = MAX_PART_BYTES) -> Iterator[bytes]:
    """Whole Parquet files that hold the rows in order, each of fewer bytes than `most`.

    Rows that pass the limit together are halved until they do not; so a part is seldom under half the limit.

    Raises:
      InputError: if one row alone passes the limit.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd", compression_level=_LEVEL)
    written = sink.getvalue().to_pybytes()
    if len(written) < most:
        yield written
        return
    if rows.num_rows < 2:
        raise InputError(f"one row takes {len(written):,} bytes, but a file may take {most:,}")
    half = rows.num_rows // 2
    yield from parquet_parts(rows.slice(0, half), most)
    yield from parquet_parts(rows.slice(half), most)


class Embeddings(NamedTuple):
    """Embeddings as they ship: each distinct piece of one once, as half-precision numbers.

    Attributes:
      pieces: the U distinct pieces, [U, E / K] float16.
      places: positions of the pieces that make up each embedding, int32 [Q, D, K], by name: `context` of the table
        itself, `external` of the one-hop table beside it, where there is one.
    """

    pieces: Float[np.ndarray, "U P"]
    places: dict[str, Int[np.ndarray, "Q D K"]]

    @classmethod
    def of(cls, embeddings: dict[str, Float[np.ndarray, "Q D E"]], pieces: int = 1) -> "Embeddings":
        """Rounded to half precision.

        Args:
          embeddings: embeddings by name, all of one size E.
          pieces: number K of equal pieces that each embedding is cut into; several parts repeat the query's.
        Raises:
          InputError: if a number is too large for half precision.
        """
        size = next(iter(embeddings.values())).shape[-1] // pieces
        with np.errstate(over="ignore"):
            rows = np.concatenate([one.reshape(-1, size) for one in embeddings.values()]).astype(np.float16)
        if not np.isfinite(rows).all():
            raise InputError("an embedding holds a number beyond 65,504, which half precision cannot hold")
        keys = np.ascontiguousarray(rows + np.float16(0)).view(f"V{2 * size}").ravel()  # -0 and 0 are the same
        _, first, place = np.unique(keys, return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        ends = np.cumsum([one.size // size for one in embeddings.values()])[:-1]
        split = np.split(rank[place].astype(np.int32), ends)
        places = {
            name: part.reshape(*one.shape[:2], pieces)
            for (name, one), part in zip(embeddings.items(), split, strict=True)
        }
        return cls(rows[first[order]], places)

    def whole(self, name: str) -> Float[np.ndarray, "Q D E"]:
        """One table's embeddings, float32."""
        place = self.places[name]
        return self.pieces[place].reshape(*place.shape[:2], -1).astype(np.float32)

    def files(self, most: int = MAX_PART_BYTES) -> dict[str, bytes]:
        """Safetensors files by name: parts of at most `most` bytes each, and one index of all places, of any size."""
        rows = max(1, (most - _HEADER_BYTES) // (2 * self.pieces.shape[1]))
        parts = {
            f"part-{number:05d}.safetensors": save({"pieces": np.ascontiguousarray(self.pieces[start : start + rows])})
            for number, start in enumerate(range(0, len(self.pieces), rows))
        }
        return {_INDEX: save(self.places), **parts}

    @classmethod
    def load(cls, folder: Path) -> "Embeddings":
        """Read what `files` gave.

        Raises:
          InputError: naming the file that is missing, or not what it should be.
        """
        places = read_tensors(folder / _INDEX)
        paths = sorted(path for path in folder.iterdir() if _PART.fullmatch(path.name))
        parts = [read_tensors(path, "pieces")["pieces"] for path in paths]
        pieces = np.concatenate(parts) if parts else np.zeros((0, 1), dtype=np.float16)
        needed = 1 + max((int(place.max(initial=-1)) for place in places.values()), default=-1)
        if len(pieces) != needed:
            raise InputError(
                f"{folder}: the parts hold {len(pieces):,} pieces of embeddings, but {_INDEX} speaks of {needed:,}; "
                "a part is missing or too many"
            )
        return cls(pieces, places)


_NODES, _NEXT_NODES, _NEXT_HEADER = "nodes", "nodes.next", "table.next.json"


def rewrite_nodes(folder: Path, header: dict[str, Any], parts: dict[str, pa.Table]) -> None:
    """Put new node files and a new header in the place of the old ones.

    The new files are written beside the old. The header, which comes last, is the decision: before it is there nothing
    has happened, and from then on every reader puts the files in place (`finish_rewriting`) that a killed process left.

    Args:
      folder: folder of the table.
      header: content that `table.json` is to hold.
      parts: rows of each file in `nodes`, by file name.
    """
    waiting = folder / _NEXT_NODES
    shutil.rmtree(waiting, ignore_errors=True)  # of a process that was killed before it decided
    for name, rows in parts.items():
        with replacing(waiting / name) as temporary:
            pq.write_table(rows, temporary, compression="zstd")
    write_json(folder / _NEXT_HEADER, header)
    finish_rewriting(folder)


def finish_rewriting(folder: Path) -> None:
    """Put in place what a rewriting decided on; nothing where none did. It may be done by several at once."""
    decided = folder / _NEXT_HEADER
    if not decided.is_file():
        return
    drop_sums(folder)
    waiting = folder / _NEXT_NODES
    for path in sorted(waiting.glob("*.parquet")):
        with suppress(FileNotFoundError):
            path.replace(folder / _NODES / path.name)
    with suppress(FileNotFoundError):
        decided.replace(folder / HEADER)
    sign(folder)
    shutil.rmtree(waiting, ignore_errors=True)


def node_files(folder: Path, header: dict[str, Any]) -> dict[str, pa.Table]:
    """The rows of each file in `nodes` that a header speaks of, by file name."""
    return {path.name: pq.read_table(path) for path in node_paths(folder, header)}


def node_paths(folder: Path, header: dict[str, Any]) -> list[Path]:
    """The files in `nodes` that a header speaks of, in order."""
    return [folder / _NODES / f"part-{number:05d}.parquet" for number in range(header.get("parts", 1))]


def with_columns(rows: pa.Table, query_ids: list[str], columns: dict[str, np.ndarray]) -> pa.Table:
    """Rows of `nodes` with some columns replaced, or added behind the others.

    Args:
      rows: rows with the columns `query_id` and `node`.
      query_ids: ids of the Q queries, in the order of the columns' rows.
      columns: values [Q, N] of each column, by its name.
    """
    index = {name: row for row, name in enumerate(query_ids)}
    query = np.array([index[name] for name in rows["query_id"].to_pylist()], dtype=np.int64)
    node = rows["node"].to_numpy()
    for name, column in columns.items():
        values = pa.array(column[query, node])
        place = rows.schema.get_field_index(name)
        rows = rows.append_column(name, values) if place < 0 else rows.set_column(place, name, values)
    return rows
