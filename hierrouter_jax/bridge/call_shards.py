"""The committed form of kept calls: a folder of small Parquet files that is only ever added to.

A call cache is one SQLite file that changes with every batch, which a version control system would store anew each
time. The shards hold the same calls: each is written once, holds calls that no earlier one holds, and is named after
its place and its own bytes, so that two machines that add to copies of a folder never write the same name.
"""

import hashlib
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hierrouter_jax.bridge.backends import Generation
from hierrouter_jax.bridge.cache import CallCache, KeptCall
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import write_bytes
from hierrouter_jax.outcomes.parts import MAX_PART_BYTES, parquet_parts

_NAME = re.compile(r"calls-(\d{5})-([0-9a-f]{8})\.parquet")
_SCHEMA = pa.schema(
    {
        "key": pa.binary(32),
        "model": pa.string(),
        "text": pa.string(),
        "tokens_in": pa.int32(),
        "tokens_out": pa.int32(),
        "finish_reason": pa.string(),
        "latency": pa.float64(),
        "logprob": pa.float64(),
    }
)


def write_new_calls(cache: CallCache, folder: Path, most: int = MAX_PART_BYTES) -> int:
    """Write the calls that the folder's shards do not hold yet into new ones; failures are left out.

    The cache may be in use by a collection meanwhile: its batches are seen whole or not at all.

    Args:
      cache: the calls.
      folder: of shards, made where there is none.
      most: bytes that a shard stays under.
    Returns:
      How many calls were new.
    Raises:
      InputError: if a shard in the folder is damaged.
    """
    shards = _shards(folder) if folder.is_dir() else []
    known = {key for path in shards for key in _rows(path)["key"].to_pylist()}
    new = [call for call in cache.kept_calls() if call.key not in known]
    if not new:
        return 0
    new.sort(key=lambda call: (call.identity or "", call.generation.text, call.key))  # like beside like packs best
    number = 1 + max((int(_part(path, 1)) for path in shards), default=-1)
    for place, content in enumerate(parquet_parts(_table(new), most), start=number):
        write_bytes(folder / f"calls-{place:05d}-{_digest(content)}.parquet", content)
    return len(new)


def read_calls(folder: Path, cache: CallCache) -> tuple[int, int]:
    """Add what a folder of shards holds to a cache; a call that the cache holds already stays as it is.

    Returns:
      The number of calls in the folder, and how many of them were new to the cache.
    Raises:
      InputError: if the folder holds no shard, or a damaged one.
    """
    shards = _shards(folder) if folder.is_dir() else []
    if not shards:  # a mistyped name would have every call made again
        raise InputError(f"{folder}: holds no calls; 'hierrouter calls OUT {folder}' writes those that OUT keeps")
    held = new = 0
    for path in shards:
        rows = _rows(path).to_pydict()
        models = rows.pop("model")
        keys = rows.pop("key")
        answers = zip(*(rows[name] for name in Generation._fields), strict=True)
        held += len(keys)
        new += cache.keep(
            KeptCall(key, model, Generation(*answer)) for key, model, answer in zip(keys, models, answers, strict=True)
        )
    return held, new


def _table(calls: list[KeptCall]) -> pa.Table:
    rows = [{"key": call.key, "model": call.identity, **call.generation._asdict()} for call in calls]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _shards(folder: Path) -> list[Path]:
    """In the order of writing; what a kill left of an unfinished one has another name."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def _rows(path: Path) -> pa.Table:
    """A shard's rows, its bytes compared with its name."""
    content = path.read_bytes()
    if _digest(content) != _part(path, 2):
        raise InputError(f"{path}: was changed or cut off after it was written; restore it, or delete it to do without")
    rows = pq.read_table(pa.BufferReader(content))
    if rows.schema.names != _SCHEMA.names:
        raise InputError(f"{path}: columns are {', '.join(rows.schema.names)}, but must be {', '.join(_SCHEMA.names)}")
    return rows


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


def _part(path: Path, group: int) -> str:
    found = _NAME.fullmatch(path.name)
    assert found is not None  # _shards chose the path
    return found[group]
