"""Logged episodes as arrays: one route a query, padded to one length, as estimators and learners read them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int, Shaped

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log import DecisionLog
from hierrouter_jax.outcomes.decision_log.record import FEEDBACK_SCHEMA, SCHEMA

UNFINISHED = ("failed", "cancelled")  # ends of episodes that gave no answer, or none that anybody waited for


@dataclass(frozen=True)
class Episodes:
    """E episodes of at most L decisions among A = M + 1 actions: the M models, then STOP.

    An episode's decisions lie at stages 0, 1, ... of its row; what lies behind its end is padding.

    Attributes:
      candidates: names of the M models in action order; one pool for all episodes.
      encoder: description of the encoder that gave the embeddings.
      episode_id: id of each episode, [E] str.
      time: time of each request in seconds since 1970 (UTC), [E] float64.
      policy: fingerprint of the policy that served each episode, [E] str.
      table: fingerprint of the outcome table that the policy was trained on, [E] str.
      explore: setting of exploration, [E] str.
      end: cause of each episode's end, [E] str.
      max_hops: largest number of hops that each request allowed, [E].
      cost_weight: cost weight that the policy was told, [E]; NaN where it was told none.
      budget: budget that the policy was told, in the pool's money unit, [E]; NaN where it was told none.
      task: name of each query's task, [E] str; empty where it is unknown.
      settings: JSON of the generation settings that differ from the table's, [E] str; `{}` where none does.
      quality: quality of each episode's answer, in [0, 1]; NaN without feedback.
      quality_time: time at which the quality came, in seconds since 1970 (UTC), [E] float64; NaN without feedback.
      taken: whether each decision was made, [E, L]; False in padding.
      mask: actions that could be taken, [E, L, A]; False in padding.
      probs: logged distribution of each decision, after exploration, [E, L, A]; 0 in padding.
      action: index of the action drawn, [E, L]; M is STOP; 0 in padding.
      propensity: logged probability of that action, [E, L]; 1 in padding.
      embedding: embedding of the context by the encoder, [E, L, X] float32; 0 in padding.
      charges: largest charge of calling each model, [E, L, M]; NaN where the policy was told no budget.
      spent: money that the route had cost before each decision, [E, L]; 0 in padding.
      cost: money that each hop cost, [E, L]; 0 at STOP and in padding.
      tokens_in, tokens_out: metered tokens of each hop, [E, L]; 0 at STOP and in padding.
      seconds: time that each hop took, [E, L]; 0 at STOP and in padding.
      left_out: one sentence for each kind of episodes of the log that are not here.
    """

    candidates: tuple[str, ...]
    encoder: Mapping[str, Any]
    episode_id: Shaped[np.ndarray, " E"]
    time: Float[np.ndarray, " E"]
    policy: Shaped[np.ndarray, " E"]
    table: Shaped[np.ndarray, " E"]
    explore: Shaped[np.ndarray, " E"]
    end: Shaped[np.ndarray, " E"]
    max_hops: Int[np.ndarray, " E"]
    cost_weight: Float[np.ndarray, " E"]
    budget: Float[np.ndarray, " E"]
    task: Shaped[np.ndarray, " E"]
    settings: Shaped[np.ndarray, " E"]
    quality: Float[np.ndarray, " E"]
    quality_time: Float[np.ndarray, " E"]
    taken: Bool[np.ndarray, "E L"]
    mask: Bool[np.ndarray, "E L A"]
    probs: Float[np.ndarray, "E L A"]
    action: Int[np.ndarray, "E L"]
    propensity: Float[np.ndarray, "E L"]
    embedding: Float[np.ndarray, "E L X"]
    charges: Float[np.ndarray, "E L M"]
    spent: Float[np.ndarray, "E L"]
    cost: Float[np.ndarray, "E L"]
    tokens_in: Int[np.ndarray, "E L"]
    tokens_out: Int[np.ndarray, "E L"]
    seconds: Float[np.ndarray, "E L"]
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.episode_id)

    @property
    def num_models(self) -> int:
        return len(self.candidates)

    @property
    def length(self) -> int:
        """Number of decisions L that every episode is padded to."""
        return self.taken.shape[1]

    @property
    def ended(self) -> Bool[np.ndarray, " E"]:
        """Whether the service came to an end of its own: the episode neither failed nor was cancelled."""
        return ~np.isin(self.end, UNFINISHED)

    @property
    def total_cost(self) -> Float[np.ndarray, " E"]:
        """Money that each episode's hops cost together."""
        return self.cost.sum(axis=1)

    def only(self, mask: Bool[np.ndarray, " E"] | Int[np.ndarray, " K"]) -> "Episodes":
        """The episodes for which the mask is True, or those of these indices, which may repeat."""
        arrays = {one.name: getattr(self, one.name) for one in fields(self)}
        return replace(self, **{name: its[mask] for name, its in arrays.items() if isinstance(its, np.ndarray)})


def episodes_of(log: DecisionLog) -> Episodes:
    """The complete episodes of a log that share one pool and one encoder, in the order of request time.

    An episode is complete if its stages start at 0 without a gap, no later stage has an earlier time, and its last
    decision, and no other, has an `end`. Where the log is of several pools or encoders, those of the most episodes
    count. `left_out` says how many were left out, and why.

    Raises:
      InputError: if nothing is left.
    """
    codes, stage, ends = (
        _codes(log.rows["episode_id"].combine_chunks()),
        log.column("stage"),
        log.column("end").astype(str),
    )
    total, left_out = int(codes.max(initial=-1)) + 1, []
    sizes, longest = np.bincount(codes), np.zeros(total, dtype=np.int64)
    np.maximum.at(longest, codes, stage)
    ours = np.ones(total, dtype=bool)

    def leave_out(wrong: Bool[np.ndarray, " R"], why: str) -> None:
        """Leave out the episodes that any of these decisions is of."""
        bad = ours & (np.bincount(codes, wrong, total) > 0)
        if bad.any():
            left_out.append(f"{int(bad.sum())} of {total} episodes are left out, as {why}")
        ours[bad] = False

    last = stage == longest[codes]
    cut_off = (sizes != longest + 1)[codes] | (last != (ends != ""))
    leave_out(cut_off, "they were cut off: a stage or the end is missing")
    order = np.argsort(codes, kind="stable")  # the log is in the order of time, and that of stages where time is equal
    back = np.append(False, (np.diff(codes[order]) == 0) & (np.diff(stage[order]) < 0))
    leave_out(back[np.argsort(order)], "their clock went back: a later stage has an earlier request_time")
    pools = pa.array(["\n".join(names) for names in log.rows["candidates"].to_pylist()], pa.string())
    kinds = _codes(pools, log.rows["encoder"].combine_chunks())
    first = np.zeros(total, dtype=np.int64)
    first[codes] = kinds
    leave_out(kinds != first[codes], "their candidates or their encoder changed on the way")
    if not ours.any():
        raise InputError(f"the log holds no complete episode among its {total}, but at least one is needed")
    largest = np.bincount(first[ours]).argmax()
    leave_out(kinds != largest, "their candidates or their encoder are others than those of most episodes")
    return replace(_arrays(log.only(ours[codes])), left_out=tuple(left_out))


def rows_of(episodes: Episodes) -> tuple[pa.Table, pa.Table]:
    """The decisions and the feedback of episodes as a decision log holds them; what arrays do not hold is empty."""
    row, stage = np.nonzero(episodes.taken)
    last = episodes.taken.sum(axis=1)[row] - 1 == stage
    number, actions = len(row), episodes.num_models + 1
    names = pa.array(np.tile(np.array(episodes.candidates, dtype=object), number), pa.string())
    columns: dict[str, Any] = {
        "stage": stage,
        "request_time": _microseconds(episodes.time[row]),
        "candidates": _lists(names, number, actions - 1),
        "encoder": np.full(number, json.dumps(dict(episodes.encoder), sort_keys=True), dtype=object),
        "end": np.where(last, episodes.end[row], "").astype(object),
        "finish_reason": np.full(number, "", dtype=object),
        "session_id": np.full(number, "", dtype=object),
        "tokens_cached": np.zeros(number, dtype=np.int64),
    }
    for name in ("episode_id", "policy", "table", "explore", "settings", "max_hops"):
        columns[name] = getattr(episodes, name)[row]
    for name in ("cost_weight", "budget"):
        columns[name] = pa.array(getattr(episodes, name)[row], from_pandas=True)
    columns["task"] = pa.array([name or None for name in episodes.task[row].tolist()], pa.string())
    for name in ("action", "propensity", "spent", "cost", "tokens_in", "tokens_out", "seconds"):
        columns[name] = getattr(episodes, name)[row, stage]
    for name in ("mask", "probs", "embedding"):
        values = getattr(episodes, name)[row, stage]
        columns[name] = _lists(pa.array(values.ravel()), number, values.shape[1])
    unlimited = pa.array(np.isnan(episodes.budget[row]))
    columns["charges"] = pa.ListArray.from_arrays(
        pa.array(np.arange(number + 1, dtype=np.int32) * (actions - 1)),
        pa.array(episodes.charges[row, stage].ravel()),
        mask=unlimited,
    )
    for name in ("mask_reasons", "failed"):
        columns[name] = pa.array([[]] * number, SCHEMA.field(name).type)
    arrays = [columns.get(one.name, pa.nulls(number, one.type)) for one in SCHEMA]
    arrays = [its if isinstance(its, pa.Array) else pa.array(its) for its in arrays]
    rated = np.isfinite(episodes.quality)
    feedback = {
        "episode_id": episodes.episode_id[rated],
        "quality": episodes.quality[rated],
        "time": _microseconds(episodes.quality_time[rated]),
    }
    return (
        pa.table([its.cast(one.type) for its, one in zip(arrays, SCHEMA, strict=True)], schema=SCHEMA),
        pa.table([pa.array(feedback[one.name]).cast(one.type) for one in FEEDBACK_SCHEMA], schema=FEEDBACK_SCHEMA),
    )


def _arrays(log: DecisionLog) -> Episodes:
    """Episodes whose decisions are all there, of one pool and one encoder."""
    codes, stage = _codes(log.rows["episode_id"].combine_chunks()), log.column("stage")
    first = np.flatnonzero(stage == 0)
    first = first[np.argsort(codes[first])]
    shape = len(first), int(stage.max()) + 1
    ends = np.zeros(shape[0], dtype=object)
    counts = np.bincount(codes)
    last = stage == counts[codes] - 1
    ends[codes[last]] = log.column("end")[last]

    def place(values: Shaped[np.ndarray, "R *X"], padding: Any = 0) -> Shaped[np.ndarray, "E L *X"]:
        array = np.full((*shape, *values.shape[1:]), padding, dtype=values.dtype)
        array[codes, stage] = values
        return array

    texts = ("episode_id", "policy", "table", "explore", "task", "settings")
    by_episode: dict[str, Any] = {name: log.rows[name].fill_null("").to_numpy()[first].astype(object) for name in texts}
    by_episode |= {name: log.column(name)[first] for name in ("max_hops", "cost_weight", "budget", "quality")}
    unknown = [np.nan] * log.matrix("candidates").shape[1]
    charges = [unknown if its is None else its for its in log.rows["charges"].to_pylist()]
    names = ("action", "spent", "cost", "tokens_in", "tokens_out", "seconds")
    return Episodes(
        candidates=tuple(log.rows["candidates"][0].as_py()),
        encoder=json.loads(log.rows["encoder"][0].as_py()),
        time=_seconds(log.rows["request_time"])[first],
        quality_time=_seconds(log.rows["quality_time"])[first],
        end=ends,
        taken=place(np.ones(len(log), dtype=bool)),
        mask=place(log.matrix("mask").astype(bool)),
        probs=place(log.matrix("probs")),
        propensity=place(log.column("propensity"), 1.0),
        embedding=place(log.matrix("embedding")),
        charges=place(np.array(charges, dtype=np.float64), np.nan),
        **{name: place(log.column(name)) for name in names},
        **by_episode,
    )


def _seconds(times: pa.ChunkedArray) -> Float[np.ndarray, " R"]:
    return times.cast(pa.int64()).to_numpy() / 1e6


def _microseconds(times: Float[np.ndarray, " R"]) -> Int[np.ndarray, " R"]:
    return np.round(times * 1e6).astype(np.int64)


def _codes(*columns: pa.Array) -> Int[np.ndarray, " R"]:
    """Number of each row's values among those of the columns, in the order in which they first appear."""
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        its = column.dictionary_encode()
        codes = codes * max(1, len(its.dictionary)) + its.indices.to_numpy()
    return pa.array(codes).dictionary_encode().indices.to_numpy().astype(np.int64)


def _lists(values: pa.Array, number: int, width: int) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.arange(number + 1, dtype=np.int32) * width), values)
