"""The policy bundle: the only thing that crosses from learning to live, with a numpy reader that runs it anywhere."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from safetensors.numpy import save_file

from hierrouter_jax.bundle_card import CARD, OTHER_FORMS, model_card
from hierrouter_jax.bundle_checks import (
    ACTIVATION,
    PolicyFields,
    check_architecture,
    check_finite,
    check_reduction,
    check_weights,
    read_header,
)
from hierrouter_jax.bundle_logits import (
    ENSEMBLE,
    LINEAR,
    NETWORK,
    PRIOR,
    multiply_adds,
    networks,
    num_layers,
    policy_logits,
)
from hierrouter_jax.errors import InputError, brief
from hierrouter_jax.files import read_json, read_tensors, replacing, write_json, write_text
from hierrouter_jax.learner_config import CONDITIONS
from hierrouter_jax.outcomes.ties import first_best, price_order
from hierrouter_jax.sums import begin_anew

# A reader of version 1 alone would leave out a prior without a word, so that a bundle with one is of version 2; version
# 3 is that of every other kind than the network.
SCHEMA_VERSION, PRIOR_SCHEMA_VERSION, KIND_SCHEMA_VERSION = 1, 2, 3
WEIGHTS, HEADER = "policy.safetensors", "policy.json"

_PART = 65_536  # rows reduced at once


@dataclass(frozen=True)
class FeatureReduction:
    """An affine map of embeddings, fitted on the training split: ((e - mean) @ components) / scale.

    Attributes:
      mean: mean embedding of the training contexts, [E].
      components: principal directions, [E, F].
      scale: spread along each of them, above 0, [F].

    Raises:
      InputError: if the arrays do not fit each other, or hold what is not finite.
    """

    mean: Float[np.ndarray, " E"]
    components: Float[np.ndarray, "E F"]
    scale: Float[np.ndarray, " F"]

    def __post_init__(self) -> None:
        check_reduction(self.mean, self.components, self.scale)

    def __call__(self, embedding: Float[np.ndarray, "*B E"]) -> Float[np.ndarray, "*B F"]:
        """The reduced embeddings, as precise as the map; by parts, so that a large table is not copied on the way."""
        rows = embedding.reshape(-1, embedding.shape[-1])
        reduced = np.empty((len(rows), len(self.scale)), self.components.dtype)
        for start in range(0, len(rows), _PART):
            part = slice(start, start + _PART)
            reduced[part] = ((rows[part] - self.mean) @ self.components) / self.scale
        return reduced.reshape(*embedding.shape[:-1], len(self.scale))


@dataclass(frozen=True, kw_only=True)
class PolicyBundle(PolicyFields):
    """A trained router and everything needed to run it on live contexts; see `PolicyFields` for what it says of itself.

    Attributes:
      reduction: fitted map of the embedding.
      weights: network arrays by name: `stage_embedding` [L, S], `hidden_i/kernel` (in, out), `hidden_i/bias`,
        `logits/kernel`, `logits/bias`; and `prior/...` [L, ...] of a policy with a fitted prior (`policies/prior.py`),
        whose scores x K + softmax(x C + c) M are added to the logits. An ensemble has such arrays of every network
        under `member_i/`; a plan and a task-sequence have `prior/...` alone.
    """

    reduction: FeatureReduction
    weights: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_finite(self.weights)
        features = self.reduction.components.shape[1]
        check_weights(self.weights, features, self.horizon, len(self.pool), len(self.conditions), self.kind)

    def logits(
        self,
        embedding: Float[np.ndarray, "B E"],
        stage: int,
        cost: Float[np.ndarray, " B"],
        cost_weight: float | None = None,
        budget: Float[np.ndarray, " B"] | float | None = None,
        charges: Float[np.ndarray, "B M"] | None = None,
    ) -> Float[np.ndarray, "B A"]:
        """Masked logits over the M models and STOP; impossible actions are -inf.

        Args:
          embedding: embeddings of the contexts, by the bundle's encoder.
          stage: number of hops already done, the same for the whole batch.
          cost: money that each route has spent already.
          cost_weight: weight that a cost-conditioned policy is to serve; by default the run's own.
          budget: money that each whole route may cost; by default without limit.
          charges: money that calling each model now can cost at most; a budget needs them.
        Raises:
          InputError: if the policy is not conditioned on what it is told.
        """
        self.check_told(cost_weight, budget)
        reduction, weights = self._double
        reduced = reduction(embedding)
        spent = np.asarray(cost / self.cost_normaliser, dtype=np.float32)[:, None]
        conditions = self._condition_inputs(np.asarray(cost), cost_weight, budget)
        logits = policy_logits(self.kind, weights, reduced, stage, spent, conditions, np)
        return np.where(self._legal(stage, np.asarray(cost), budget, charges), logits, -np.inf)

    @cached_property
    def _double(self) -> tuple[FeatureReduction, dict[str, np.ndarray]]:
        """Map and weights in double precision, so that a decision is the same alone, in any batch and when replayed."""
        arrays = (getattr(self.reduction, field.name).astype(np.float64) for field in fields(FeatureReduction))
        return FeatureReduction(*arrays), {name: array.astype(np.float64) for name, array in self.weights.items()}

    def act(
        self,
        embedding: Float[np.ndarray, "B E"],
        stage: int,
        cost: Float[np.ndarray, " B"],
        cost_weight: float | None = None,
        budget: Float[np.ndarray, " B"] | float | None = None,
        charges: Float[np.ndarray, "B M"] | None = None,
    ) -> tuple[Int[np.ndarray, " B"], Float[np.ndarray, "B A"]]:
        """Greedy actions and the probabilities behind them; arguments as of `logits`."""
        logits = self.logits(embedding, stage, cost, cost_weight, budget, charges)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        actions = first_best(logits, self.ties)
        return actions, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)

    def check_told(self, cost_weight: float | None, budget: Any) -> None:
        """Refuse a cost weight or a budget that the policy was not trained to be told.

        Raises:
          InputError: likewise if the cost weight is no number of at least 0.
        """
        for name, value in zip(CONDITIONS, (cost_weight, budget), strict=True):
            if value is not None and name not in self.conditions:
                what = name.replace("_", " ")
                raise InputError(
                    f"a {what} is given, but the policy was not trained to be told one; "
                    f"train with --train.static.{_TRAINED_BY[name]} true"
                )
        if cost_weight is not None and not 0 <= cost_weight < np.inf:
            raise InputError(f"the cost weight is {cost_weight}, but must be a number of at least 0")

    def _condition_inputs(
        self, cost: Float[np.ndarray, " B"], cost_weight: float | None, budget: Float[np.ndarray, " B"] | float | None
    ) -> Float[np.ndarray, "B K"]:
        """As in training: the cost weight's logarithm on [-1, 1] between its bounds, what is left of the budget on
        [0, 1] up to its upper bound."""
        columns = []
        if "cost_weight" in self.conditions:
            low, high = self.conditions["cost_weight"]
            weight = self.cost_weight if cost_weight is None else cost_weight
            assert weight is not None  # a conditioned bundle holds its run's own
            weight = min(max(weight, low), high)
            columns.append(np.full(cost.shape, 2 * np.log(weight / low) / np.log(high / low) - 1))
        if "budget" in self.conditions:
            left = (np.inf if budget is None else np.asarray(budget)) - cost
            columns.append(np.clip(left / self.cost_normaliser / self.conditions["budget"][1], 0.0, 1.0))
        return np.stack(columns, axis=1).astype(np.float32) if columns else np.zeros((len(cost), 0), np.float32)

    def _legal(
        self,
        stage: int,
        cost: Float[np.ndarray, " B"],
        budget: Float[np.ndarray, " B"] | float | None,
        charges: Float[np.ndarray, "B M"] | None,
    ) -> Bool[np.ndarray, "B A"]:
        """Models whose largest charge the budget still pays; STOP once there is an answer, if it may, or if none."""
        models = np.ones((len(cost), len(self.pool)), dtype=bool)
        if budget is not None:
            if charges is None:
                raise InputError("a budget is given without the largest charge of each model")
            models = cost[:, None] + charges <= np.broadcast_to(budget, cost.shape)[:, None]
        stop = stage > 0 and self.may_stop
        return np.column_stack([models, stop | ~models.any(axis=1)])

    @property
    def ties(self) -> tuple[int, ...]:
        """Actions in the order in which they win ties, M for STOP."""
        return self.tie_order or price_order(self.pool)

    @property
    def fingerprint(self) -> str:
        """Digest of all that its decisions come from: every field but where it is from, and every array."""
        fields_ = {name: value for name, value in self.field_values.items() if name != "provenance"}
        digest = hashlib.sha256(json.dumps(fields_, default=asdict, sort_keys=True).encode())
        for name, array in sorted(self._tensors().items()):
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:32]

    @property
    def multiply_adds(self) -> int:
        """Multiplications of one decision: the reduction's and the layers', the encoder's apart."""
        return self.reduction.components.size + multiply_adds(self.kind, self.weights)

    def save(self, folder: Path | str, evaluation: Mapping[str, Any] | None = None) -> None:
        """Write `policy.safetensors`, `policy.json`, their sums and the model card; other forms of an older policy go.

        Args:
          folder: folder of the bundle, made where there is none.
          evaluation: content of the `evaluation.json` that has a row of this very router, for the card.
        """
        folder = Path(folder)
        with replacing(folder / WEIGHTS) as temporary:
            save_file({name: np.ascontiguousarray(array) for name, array in self._tensors().items()}, temporary)
            begin_anew(folder / HEADER, OTHER_FORMS)
        header = {
            "schema_version": self._schema_version,
            "architecture": self._architecture(),
            **{name: value for name, value in self.field_values.items() if value or name not in _LATER},
            "pool": [member.to_dict() for member in self.pool],
        }
        if self.kind == NETWORK:  # what a header without a kind says, so that older readers and files agree
            del header["kind"]
        write_json(folder / HEADER, header)
        write_text(folder / CARD, model_card(self, evaluation))

    @classmethod
    def load(cls, folder: Path | str) -> "PolicyBundle":
        """Read and check a bundle.

        Raises:
          InputError: if a file is missing, of another schema, or its shapes disagree.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such policy bundle (a folder with {HEADER} and {WEIGHTS} is needed)")
        path = folder / HEADER
        data = read_json(path)
        if not isinstance(data, dict):
            raise InputError(f"{path}: is {brief(repr(data))}, but must hold fields (name: value)")
        version, first, last = data.get("schema_version"), SCHEMA_VERSION, KIND_SCHEMA_VERSION
        if version not in range(first, last + 1) or isinstance(version, bool | float):
            newer = "; a newer hierrouter_jax wrote it" if type(version) is int and version > last else ""
            raise InputError(f"{path}: schema_version is {version!r}, but this version reads {first} to {last}{newer}")
        header, tensors = read_header(data, path), read_tensors(folder / WEIGHTS)
        try:
            if version == PRIOR_SCHEMA_VERSION and PRIOR[0] not in tensors:
                raise InputError(f"{WEIGHTS} lacks the prior that schema_version {version} promises")
            reduction = FeatureReduction(*(_taken(tensors, f"reduction/{f.name}") for f in fields(FeatureReduction)))
            bundle = cls(reduction=reduction, weights=tensors, **header.field_values)
            check_architecture(header.architecture, bundle._architecture())
        except InputError as error:
            raise InputError(f"{folder}: {error}") from None
        return bundle

    @property
    def _schema_version(self) -> int:
        if self.kind != NETWORK:
            return KIND_SCHEMA_VERSION
        return PRIOR_SCHEMA_VERSION if PRIOR[0] in self.weights else SCHEMA_VERSION

    def _architecture(self) -> dict[str, Any]:
        words: dict[str, Any] = {"features": self.reduction.components.shape[1]}
        parts = networks(self.weights) if self.kind == ENSEMBLE else [] if self.kind in LINEAR else [self.weights]
        if parts:
            words |= {
                "stage_embedding": list(parts[0]["stage_embedding"].shape),
                "hidden": [parts[0][f"hidden_{i}/bias"].shape[0] for i in range(num_layers(parts[0]))],
                "activation": ACTIVATION,
            }
        members = {"members": len(parts)} if self.kind == ENSEMBLE else {}
        return words | members | {"actions": [member.name for member in self.pool] + ["STOP"]}

    def _tensors(self) -> dict[str, np.ndarray]:
        return {f"reduction/{f.name}": getattr(self.reduction, f.name) for f in fields(self.reduction)} | self.weights


_LATER = ("tie_order", "encoder_multiply_adds")  # left out where an older run does not know them
_TRAINED_BY = {"cost_weight": "cost_conditioned", "budget": "budgeted"}


def _taken(tensors: dict[str, np.ndarray], name: str) -> np.ndarray:
    if name not in tensors:
        raise InputError(f"{WEIGHTS} lacks {name}")
    return tensors.pop(name)
