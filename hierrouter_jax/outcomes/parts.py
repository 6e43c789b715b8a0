"""Files small enough for any git host: what is larger is split into parts."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from hierrouter_jax.errors import InputError

MAX_PART_BYTES = 1_100_000
_LEVEL = 19  # of zstd: written once, read often


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
