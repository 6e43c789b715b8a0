"""What a policy bundle must be before it is used: types and domains of its header, shapes and values of its tensors."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from hierrouter_jax.bundle_logits import ENSEMBLE, KINDS, LINEAR, MEMBER, NETWORK, PRIOR, VALUE, networks
from hierrouter_jax.config import from_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.learner_config import CONDITIONS
from hierrouter_jax.outcomes.pricing import PricedModel

ACTIVATION = "tanh"
Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class PolicyFields:
    """What a policy bundle says of its policy beside its arrays; the fields of policy.json in their order.

    Attributes:
      pool: the models in action order; action M is STOP.
      horizon: largest number of hops.
      allow_stop: whether STOP may be chosen after the first hop.
      encoder: description from which the encoder of contexts is built again.
      money_unit: unit of the pool's prices.
      cost_normaliser: mean cost of one call on the training split; costs enter the network over it.
      table_fingerprint: fingerprint of the outcome table that the policy was trained on.
      provenance: learner, the seed that it was trained with (not its place among the run's) and versions; carried
        along as they are.
      conditions: inputs of the network beside its state, out of `cost_weight` (lambda, per normalised cost) and
        `budget` (over the cost normaliser), each with the [low, high] that scale it. A policy with a budget may always
        STOP once there is an answer.
      cost_weight: the training run's own cost weight, which a cost-conditioned policy serves by default.
      tie_order: actions in the order in which they win ties, M for STOP; by the pool's prices where it is empty.
      kind: what the arrays are: a `network`; an `ensemble` of networks of several seeds, whose logits are their mean; a
        `plan`, fitted stage by stage from the last hop back; or a `task-sequence`, a classifier of the task and a
        sequence of models for each task.
      encoder_multiply_adds: mean multiply-adds of embedding a context of 0, 1, ... responses; empty where unknown.

    Raises:
      InputError: naming the field that is out of its domain.
    """

    pool: tuple[PricedModel, ...]
    horizon: int
    allow_stop: bool
    encoder: dict[str, Any]
    money_unit: str
    cost_normaliser: float
    table_fingerprint: str
    provenance: dict[str, Any]
    conditions: dict[str, list[float]] = field(default_factory=dict)
    cost_weight: float | None = None
    tie_order: tuple[int, ...] = ()
    kind: str = NETWORK
    encoder_multiply_adds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def may_stop(self) -> bool:
        """Whether its routes may end before the horizon: under a budget they always may."""
        return self.allow_stop or "budget" in self.conditions

    @property
    def field_values(self) -> dict[str, Any]:
        """The values of these fields by name, in their order; what a subclass adds is left out."""
        return {field.name: getattr(self, field.name) for field in fields(PolicyFields)}


@dataclass(frozen=True, kw_only=True)
class Header(PolicyFields):
    """The fields of policy.json that a reader uses; others, of a later version, are left alone.

    Attributes:
      architecture: shapes and names in words: `features`, `stage_embedding`, `hidden`, `activation`, `actions`.
    """

    architecture: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        activation = self.architecture.get("activation", ACTIVATION)
        if activation != ACTIVATION:
            raise InputError(f"architecture.activation is {activation!r}, but this version runs {ACTIVATION} alone")


def read_header(data: Any, path: Path) -> Header:
    """The checked header of a bundle.

    Args:
      data: content of policy.json.
      path: path of policy.json, for messages.

    Raises:
      InputError: naming the file and the field that is missing, mistyped or out of its domain.
    """
    known = {field.name for field in fields(Header)}
    return from_dict(Header, {name: value for name, value in data.items() if name in known}, path)


def check_fields(policy: PolicyFields) -> None:
    """Refuse numbers of a policy that cannot be.

    Raises:
      InputError: naming the field.
    """
    names = [member.name for member in policy.pool]
    if not names or len(set(names)) < len(names) or not all(isinstance(name, str) and name.strip() for name in names):
        raise InputError(f"pool names {names}, but must name one or more different models")
    for row, member in enumerate(policy.pool):
        for name in ("parameters", "max_new_tokens", "flops_per_token"):
            value = getattr(member, name)
            if value is not None and value < 0:
                raise InputError(f"pool[{row}].{name} is {value}, but must be at least 0")
    if policy.kind not in KINDS:
        raise InputError(f"kind is {policy.kind!r}, but this version runs {', '.join(KINDS)}")
    if policy.conditions and policy.kind != NETWORK:
        raise InputError(
            f"conditions names {', '.join(policy.conditions)}, but a policy of kind {policy.kind} has none"
        )
    if policy.horizon < 1:
        raise InputError(f"horizon is {policy.horizon}, but must be at least 1")
    if not 0 < policy.cost_normaliser < np.inf:
        raise InputError(f"cost_normaliser is {policy.cost_normaliser}, but must be a number above 0")
    if policy.cost_weight is not None and not -np.inf < policy.cost_weight < np.inf:
        raise InputError(f"cost_weight is {policy.cost_weight}, but must be a number")
    if policy.tie_order and sorted(policy.tie_order) != list(range(len(names) + 1)):
        raise InputError(f"tie_order is {list(policy.tie_order)}, but must be 0 to {len(names)} in some order")
    for name, bounds in policy.conditions.items():
        if name not in CONDITIONS:
            raise InputError(f"the policy is conditioned on {name!r}, which this version does not know")
        if len(bounds) != 2 or not 0 < bounds[0] < bounds[1] < np.inf:
            raise InputError(f"{name} of the policy ranges over {bounds}, but must over 0 < low < high")
    if "cost_weight" in policy.conditions and policy.cost_weight is None:
        raise InputError("cost_weight: the policy is conditioned on a cost weight, but the run's own is missing")


def check_reduction(mean: np.ndarray, components: np.ndarray, scale: np.ndarray) -> None:
    """Refuse a reduction ((e - mean) @ components) / scale that is none, or that NumPy would stretch to fit.

    Args:
      mean: array that must be [E].
      components: array that must be [E, F].
      scale: array that must be [F] and above 0.

    Raises:
      InputError: naming the array.
    """
    named = {"reduction/mean": mean, "reduction/components": components, "reduction/scale": scale}
    check_finite(named)
    if components.ndim != 2 or not all(components.shape):
        raise InputError(f"reduction/components has shape {components.shape}, but must be [embedding, features]")
    for name, array, size in (("mean", mean, components.shape[0]), ("scale", scale, components.shape[1])):
        if array.shape != (size,):
            raise InputError(
                f"reduction/{name} has shape {array.shape}, but must be {(size,)} beside components {components.shape}"
            )
    if (scale <= 0).any():
        raise InputError(f"reduction/scale holds {scale.min()}, but each must be above 0")


def check_finite(tensors: Mapping[str, np.ndarray]) -> None:
    """Refuse tensors that are no floating point numbers, or hold one that is not finite.

    Raises:
      InputError: naming the tensor.
    """
    for name, array in tensors.items():
        if not np.issubdtype(array.dtype, np.floating):
            raise InputError(f"{name} of the policy holds {array.dtype}, but must hold floating point numbers")
        if not np.isfinite(array).all():
            raise InputError(f"{name} of the policy holds a number that is not finite")


def check_weights(
    weights: Mapping[str, np.ndarray], features: int, horizon: int, models: int, conditions: int, kind: str = NETWORK
) -> None:
    """Every layer must fit the one before it, the first the features and the last the pool, in each network.

    Raises:
      InputError: naming the tensor that is missing, of another shape, or none of its kind's.
    """
    if kind in LINEAR:
        expected = _prior_shapes(weights, features, horizon, models + 1)
        _check_shapes(weights, expected, expected)
    elif kind == ENSEMBLE:
        parts = networks(weights)
        if not parts:
            raise InputError(f"{MEMBER}0/... of the policy is missing: an ensemble holds one or more networks")
        _check_known(weights, [name for name in weights if name.startswith(MEMBER)])
        for index, part in enumerate(parts):
            try:
                check_weights(part, features, horizon, models, conditions)
            except InputError as error:
                raise InputError(f"{MEMBER}{index}: {error}") from None
    else:
        expected = _network_shapes(weights, features, horizon, models + 1, conditions)
        _check_shapes(weights, expected, {*expected, *VALUE})


def _network_shapes(
    weights: Mapping[str, np.ndarray], features: int, horizon: int, actions: int, conditions: int
) -> dict[str, Shape]:
    layers = len({name.split("/")[0] for name in weights if name.startswith("hidden_")})
    hidden = [name for layer in range(layers) for name in (f"hidden_{layer}/kernel", f"hidden_{layer}/bias")]
    _check_there(weights, ("stage_embedding", *hidden, "logits/kernel", "logits/bias"))
    stage_size = _size(weights, "stage_embedding", 2, -1)
    expected: dict[str, Shape] = {"stage_embedding": (horizon, stage_size)}
    size = features + stage_size + 1 + conditions
    for layer in range(layers):
        width = _size(weights, f"hidden_{layer}/bias", 1, -1)
        expected |= {f"hidden_{layer}/kernel": (size, width), f"hidden_{layer}/bias": (width,)}
        size = width
    expected |= {"logits/kernel": (size, actions), "logits/bias": (actions,)}
    has_prior = any(name in weights for name in PRIOR)
    return expected | (_prior_shapes(weights, features, horizon, actions) if has_prior else {})


def _prior_shapes(weights: Mapping[str, np.ndarray], features: int, horizon: int, actions: int) -> dict[str, Shape]:
    _check_there(weights, PRIOR)
    tasks = _size(weights, PRIOR[3], 2, -1)
    shapes = ((features, actions), (tasks, actions), (features, tasks), (tasks,))
    return {name: (horizon, *shape) for name, shape in zip(PRIOR, shapes, strict=True)}


def _check_there(weights: Mapping[str, np.ndarray], names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in weights]
    if missing:
        raise InputError(f"{missing[0]} of the policy is missing")


def _check_known(weights: Mapping[str, np.ndarray], names: Collection[str]) -> None:
    """Refuse a tensor that no reader would read: with it the policy is another than the readers run."""
    other = next((name for name in sorted(weights) if name not in names), None)
    if other is not None:
        raise InputError(f"{other} of the policy is no tensor of its kind")


def _check_shapes(weights: Mapping[str, np.ndarray], expected: Mapping[str, Shape], names: Collection[str]) -> None:
    _check_known(weights, names)
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise InputError(f"{name} of the policy has shape {weights[name].shape}, but must be {shape}")


def check_architecture(stated: Mapping[str, Any], actual: Mapping[str, Any]) -> None:
    """Refuse a header whose words say another network than the tensors are.

    Args:
      stated: the `architecture` of the header; what it leaves out is not compared.
      actual: the same words, of the tensors and the pool.

    Raises:
      InputError: naming the field.
    """
    for name, value in actual.items():
        if name in stated and stated[name] != value:
            raise InputError(
                f"architecture.{name} is {stated[name]!r}, but the policy's tensors and pool say {value!r}"
            )


def _size(weights: Mapping[str, np.ndarray], name: str, axes: int, axis: int) -> int:
    shape = weights[name].shape
    if len(shape) != axes or not all(shape):
        raise InputError(f"{name} of the policy has shape {shape}, but must have {axes} axes, none of them empty")
    return shape[axis]
