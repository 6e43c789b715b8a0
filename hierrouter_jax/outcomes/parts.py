"""Files small enough for any git host: what is larger is split into parts."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from hierrouter_jax.errors import InputError

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
      pieces: [U, E / K] float16, the distinct pieces.
      places: by name, int32 [Q, D, K]: which pieces make up each embedding. `context` is the table's own; `external`
        that of the one-hop table beside it, where there is one.
    """

    pieces: Float[np.ndarray, "U P"]
    places: dict[str, Int[np.ndarray, "Q D K"]]

    @classmethod
    def of(cls, embeddings: dict[str, Float[np.ndarray, "Q D E"]], pieces: int = 1) -> "Embeddings":
        """Rounded to half precision.

        Args:
          embeddings: by name, all of one size E.
          pieces: K, equal pieces that each embedding is cut into; an encoder of several parts repeats the query's.
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
        """Safetensors files by name, each of at most `most` bytes."""
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
        try:
            places = load_file(at := folder / _INDEX)
            paths = sorted(path for path in folder.iterdir() if _PART.fullmatch(path.name))
            parts = [load_file(at := path)["pieces"] for path in paths]
        except FileNotFoundError:
            raise InputError(f"{at}: no such file") from None
        except (SafetensorError, KeyError) as error:
            raise InputError(f"{at}: not a safetensors file of embeddings ({error})") from None
        pieces = np.concatenate(parts) if parts else np.zeros((0, 1), dtype=np.float16)
        needed = 1 + max((int(place.max(initial=-1)) for place in places.values()), default=-1)
        if len(pieces) != needed:
            raise InputError(
                f"{folder}: the parts hold {len(pieces):,} pieces of embeddings, but {_INDEX} speaks of {needed:,}; "
                "a part is missing or too many"
            )
        return cls(pieces, places)
