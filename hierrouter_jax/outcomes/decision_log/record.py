"""The record of a decision log: what a served policy saw, chose and got, and its columns in Parquet."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from hierrouter_jax.errors import InputError, reason_of
from hierrouter_jax.outcomes.decision_log.frames import Frame, pack

SCHEMA_VERSION = 1
VERSION_KEY = b"hierrouter.decision_log"  # of the version, in the metadata of every part
EXPLORE_UNKNOWN = ""  # exploration of an imported log that does not say
ACTION_ALONE = (
    "action alone"  # of one whose every probability but that of the action taken is an even share of the rest
)
ENDS = ("", "stop", "horizon", "max_hops", "tool_calls", "failed", "cancelled")


class FailedCall(NamedTuple):
    """A model that was drawn at a stage and gave no response, after which the decision was drawn anew without it.

    Attributes:
      model: name of the model.
      reason: cause of the failure, in one line.
      seconds: time that the call took until it failed.
      probs: distribution that it was drawn from, [A].
    """

    model: str
    reason: str
    seconds: float
    probs: Sequence[float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """One decision of a served policy: everything that it read, the draw, and what the hop gave.

    A decision has A = M + 1 actions: the candidates in order, and STOP.

    Attributes:
      episode_id: id of the request's episode.
      stage: number of hops done before.
      request_time: time at which the request came, in seconds since 1970 (UTC).
      policy: fingerprint of the policy bundle.
      table: fingerprint of the outcome table that the policy was trained on.
      candidates: names of the M models in action order.
      mask: actions that could be taken in this draw, [A].
      probs: distribution that the action was drawn from, [A], float64.
      action: index of the action taken; M is STOP.
      explore: the setting of exploration, as `Exploration` writes it; of an imported log `EXPLORE_UNKNOWN` or
        `ACTION_ALONE`.
      encoder: description from which the encoder is built again.
      embedding: embedding of the context by that encoder, before any reduction, [E].
      spent: money that the route had cost before this decision, in the pool's unit.
      cost_weight: cost weight that the policy was told; None where it was told none.
      budget: budget that the policy was told, in the pool's unit; None where it was told none.
      charges: largest charge of calling each model, [M]; None where the policy was told no budget.
      max_hops: largest number of hops that the request allowed.
      mask_reasons: causes that each action could not be taken for, [A], empty text where it could; or no list at all.
      failed: calls of this stage that failed before the action was drawn, in order.
      tokens_in, tokens_out, tokens_cached: metered tokens of the hop; 0 at STOP.
      cost: money that the hop cost, in the pool's unit.
      seconds: time that the hop took.
      finish_reason: cause of the response's end, as the model gives it; `failed` where there was none, empty at STOP.
      end: cause of the episode's end with this decision, one of `ENDS`; empty where it went on.
      settings: generation settings of the call that differ from the table's, by name.
      session_id: id of the session that the request named, or empty.
      task: name of the query's task; None where it is unknown.
      question, response: text that the policy was asked and that the hop gave; kept only by a log of text.
    """

    episode_id: str
    stage: int
    request_time: float
    policy: str
    table: str
    candidates: Sequence[str]
    mask: Sequence[bool]
    probs: Sequence[float] | Float[np.ndarray, " A"]
    action: int
    explore: str
    encoder: Mapping[str, Any]
    embedding: Float[np.ndarray, " E"]
    spent: float
    max_hops: int
    cost_weight: float | None = None
    budget: float | None = None
    charges: Sequence[float] | Float[np.ndarray, " M"] | None = None
    mask_reasons: Sequence[str] = ()
    failed: Sequence[FailedCall] = ()
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    finish_reason: str = ""
    end: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    session_id: str = ""
    task: str | None = None
    question: str | None = None
    response: str | None = None

    @property
    def propensity(self) -> float:
        """The probability of the action taken."""
        return float(self.probs[self.action])


_FAILED = pa.struct(
    {"model": pa.string(), "reason": pa.string(), "seconds": pa.float64(), "probs": pa.list_(pa.float64())}
)
SCHEMA = pa.schema(
    {
        "episode_id": pa.string(),
        "stage": pa.int32(),
        "request_time": pa.timestamp("us", "UTC"),
        "policy": pa.string(),
        "table": pa.string(),
        "candidates": pa.list_(pa.string()),
        "mask": pa.list_(pa.bool_()),
        "probs": pa.list_(pa.float64()),
        "action": pa.int32(),
        "propensity": pa.float64(),
        "explore": pa.string(),
        "encoder": pa.string(),
        "embedding": pa.list_(pa.float32()),
        "spent": pa.float64(),
        "cost_weight": pa.float64(),
        "budget": pa.float64(),
        "charges": pa.list_(pa.float64()),
        "max_hops": pa.int32(),
        "mask_reasons": pa.list_(pa.string()),
        "failed": pa.list_(_FAILED),
        "tokens_in": pa.int64(),
        "tokens_out": pa.int64(),
        "tokens_cached": pa.int64(),
        "cost": pa.float64(),
        "seconds": pa.float64(),
        "finish_reason": pa.string(),
        "end": pa.string(),
        "settings": pa.string(),
        "session_id": pa.string(),
        "question": pa.string(),
        "response": pa.string(),
        "task": pa.string(),
    },
    {VERSION_KEY: str(SCHEMA_VERSION)},
)
FEEDBACK_SCHEMA = pa.schema(
    {"episode_id": pa.string(), "quality": pa.float64(), "time": pa.timestamp("us", "UTC")},
    {VERSION_KEY: str(SCHEMA_VERSION)},
)
NULLABLE = ("cost_weight", "budget", "charges", "question", "response", "task")
LATER = ("task",)  # columns that parts of this version may lack, as they were added to it

_DECISION, _FEEDBACK = b"D", b"F"


def decision_frame(decision: Decision, text: bool) -> bytes:
    """The record of a decision in a write-ahead file, with or without its text.

    Raises:
      InputError: if a value is not finite, or of no kind that the log holds.
    """
    one, embedding = decision, np.asarray(decision.embedding, dtype="<f4")
    if not np.isfinite(embedding).all():
        raise InputError(f"the embedding of episode {one.episode_id!r} holds a number that is not finite")
    fields = {
        "episode_id": one.episode_id,
        "stage": int(one.stage),
        "request_time": round(one.request_time * 1e6),
        "policy": one.policy,
        "table": one.table,
        "candidates": list(one.candidates),
        "mask": np.asarray(one.mask, dtype=bool).tolist(),
        "probs": np.asarray(one.probs, dtype=np.float64).tolist(),
        "action": int(one.action),
        "propensity": one.propensity,
        "explore": one.explore,
        "encoder": json.dumps(dict(one.encoder), sort_keys=True),
        "spent": float(one.spent),
        "cost_weight": None if one.cost_weight is None else float(one.cost_weight),
        "budget": None if one.budget is None else float(one.budget),
        "charges": None if one.charges is None else np.asarray(one.charges, dtype=np.float64).tolist(),
        "max_hops": int(one.max_hops),
        "mask_reasons": list(one.mask_reasons),
        "failed": [call._asdict() | {"probs": np.asarray(call.probs, np.float64).tolist()} for call in one.failed],
        "tokens_in": int(one.tokens_in),
        "tokens_out": int(one.tokens_out),
        "tokens_cached": int(one.tokens_cached),
        "cost": float(one.cost),
        "seconds": float(one.seconds),
        "finish_reason": one.finish_reason,
        "end": one.end,
        "settings": json.dumps(dict(one.settings), sort_keys=True),
        "session_id": one.session_id,
        "question": one.question if text else None,
        "response": one.response if text else None,
        "task": one.task,
    }
    return pack(_DECISION, fields, embedding.tobytes())


def feedback_frame(episode_id: str, quality: float, time: float) -> bytes:
    """The record of an answer's quality in a write-ahead file; `time` in seconds since 1970 (UTC)."""
    return pack(_FEEDBACK, {"episode_id": episode_id, "quality": float(quality), "time": round(time * 1e6)})


def tables_of(frames: Sequence[Frame]) -> tuple[pa.Table, pa.Table]:
    """The decisions and the feedback among the records of a write-ahead file.

    Raises:
      InputError: if a record is none of this version, though its checksum is right.
    """
    try:
        return _tables_of(frames)
    except (ValueError, TypeError, OverflowError, pa.ArrowException) as error:
        raise InputError(f"holds a record that is none of this version ({reason_of(error)})") from None


def _tables_of(frames: Sequence[Frame]) -> tuple[pa.Table, pa.Table]:
    decisions = [frame for frame in frames if frame.kind == _DECISION]
    columns = {name: [frame.fields.get(name) for frame in decisions] for name in SCHEMA.names}
    columns["embedding"] = [np.frombuffer(frame.blob, dtype="<f4") for frame in decisions]
    feedback = [frame.fields for frame in frames if frame.kind == _FEEDBACK]
    return (
        pa.table([pa.array(columns[name.name], type=name.type) for name in SCHEMA], schema=SCHEMA),
        pa.Table.from_pylist(feedback, schema=FEEDBACK_SCHEMA),
    )
