"""The committed form of kept calls: a folder of small Parquet files that is only ever added to.

A call cache is one SQLite file that changes with every batch, which a version control system would store anew each
time. The shards hold the same calls: each is written once, holds calls that no earlier one holds, and is named after
its place and its own bytes, so that two machines that add to copies of a folder never write the same name.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool

from hierrouter_jax.bridge.backends import Backend, Generation
from hierrouter_jax.bridge.cache import CallCache, KeptCall, call_key
from hierrouter_jax.bridge.fitting import fitted_prompts, hop_contexts
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.config import from_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import write_bytes
from hierrouter_jax.outcomes.failures import FAILED
from hierrouter_jax.outcomes.parts import MAX_PART_BYTES, parquet_parts
from hierrouter_jax.outcomes.table import OutcomeTable

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
      cache: call cache to read.
      folder: folder of the shards, made where there is none.
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
    match = _NAME.fullmatch(path.name)
    assert match is not None  # _shards chose the path
    return match[group]


def calls_of_table(table: OutcomeTable, backends: Sequence[Backend]) -> Iterator[KeptCall]:
    """The distinct calls that a collected table is made of, each under the key that it was made with.

    The layout of the prompts is the one in the table's settings. Latencies are as exact as the table holds them, and
    log-probabilities, which it does not hold, are None. A failed call is none.

    Args:
      table: table that `collect` has made.
      backends: pool members by any of the table's names, in any order; of those that `other_models` names, and of
        those that are not there, no call is given.

    Raises:
      InputError: if the table's settings do not say how its prompts were laid out and who answered them.
    """
    layout = _layout(table)
    known: set[bytes] = set()
    for backend in backends:
        rows = _rows_of(table, backend)
        if not rows.any():
            continue
        model = table.model_names.index(backend.name)
        for stage in range(table.tree.horizon):
            hops = slice(table.tree.stage_start(stage + 1) + model, table.tree.stage_start(stage + 2), len(table.pool))
            answered = table.available[:, hops] & (table.details["finish_reason"][:, hops] != FAILED) & rows[:, None]
            cells, contexts = hop_contexts(table, answered, stage, model)
            prompts, _ = fitted_prompts(layout, contexts, backend)
            for prompt, cell in zip(prompts, cells, strict=True):
                key = call_key(backend.identity, prompt)
                if key not in known:
                    known.add(key)
                    yield KeptCall(key, backend.identity, _generation(table, cell))


def other_models(table: OutcomeTable, backends: Sequence[Backend]) -> list[str]:
    """Names that both know, but whose weights or settings are not those of the table's calls, under no seed."""
    same = {backend.name for backend in backends if _rows_of(table, backend).any()}
    return list(dict.fromkeys(b.name for b in backends if b.name in table.model_names and b.name not in same))


def _rows_of(table: OutcomeTable, backend: Backend) -> Bool[np.ndarray, " Q"]:
    """Rows that the backend answered: those of the seeds under which the table's model of its name was the same."""
    by_seed = {0: table.settings.get("models", {})}
    by_seed |= {int(seed): models for seed, models in table.settings.get("seed_models", {}).items()}
    mine = {seed for seed, models in by_seed.items() if models.get(backend.name) == backend.identity}
    return np.array([backend.name in table.model_names and query.seed in mine for query in table.queries])


def _layout(table: OutcomeTable) -> HopPrompt:
    for name in ("prompt", "models"):
        if name not in table.settings:
            raise InputError(f"settings.{name} is missing, so this is no collected table, and its calls are not known")
    return from_dict(HopPrompt, table.settings["prompt"], "settings.prompt")


def _generation(table: OutcomeTable, cell: tuple[int, int]) -> Generation:
    return Generation(
        table.response[cell],
        int(table.tokens_in[cell]),
        int(table.tokens_out[cell]),
        table.details["finish_reason"][cell],
        0.0 if table.latency is None else float(table.latency[cell]),
    )
