"""The router's network: two tanh layers over features, a learned stage embedding, the cost spent and conditions."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float, Int

from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.errors import InputError
from hierrouter_jax.plugins import load_object
from hierrouter_jax.policies.conditions import NONE, ConditionRanges, Conditions, inputs
from hierrouter_jax.policies.kernels import by_vector_moves, project, project_few
from hierrouter_jax.policies.prior import PRIOR, Prior

TWO_LAYER = "two-layer"  # what configurations call `RouterNetwork`


@struct.dataclass
class PolicyInputs:
    """What the network sees of a state.

    Attributes:
      features: [*B, F].
      stage: [*B] hops done.
      spent: [*B] cost so far, over the cost normaliser.
      conditions: [*B, K], K = 0 for a policy that is not conditioned.
    """

    features: Float[Array, "*B F"]
    stage: Int[Array, "*B"]
    spent: Float[Array, "*B"]
    conditions: Float[Array, "*B K"]


class RouterNetwork(nn.Module):
    """Shared two-layer trunk with a head for logits over M models and STOP, and a head for the value.

    The paper names a two-layer feed-forward router and a learned stage embedding; widths are ours.

    Attributes:
      num_actions: M + 1.
      horizon: L, rows of the stage embedding.
      hidden: widths of the trunk.
      stage_size: S, width of the stage embedding.
      prior_tasks: T of a fitted prior, whose scores the logits are added to; 0 for a network without one. With one,
        the network starts from zero: the policy is the prior's.
    """

    num_actions: int
    horizon: int
    hidden: tuple[int, ...] = (128, 128)
    stage_size: int = 8
    prior_tasks: int = 0

    @nn.compact
    def __call__(self, seen: PolicyInputs) -> tuple[Float[Array, "*B A"], Float[Array, "*B"]]:
        """Unmasked logits and the value of the state."""
        embedding = self.param("stage_embedding", nn.initializers.normal(0.5), (self.horizon, self.stage_size))
        num_features = seen.features.shape[-1]
        size = num_features + self.stage_size + 1 + seen.conditions.shape[-1]
        hidden = jnp.zeros(())
        for layer, width in enumerate(self.hidden):
            kernel, bias = _Weights(width, 2**0.5, name=f"hidden_{layer}")(size)
            if layer == 0:
                hidden = nn.tanh(_first_layer(seen, embedding, kernel, bias))
            else:
                hidden = nn.tanh(project(hidden, kernel) + bias)
            size = width
        # Both heads in one product: a narrow product's gradient costs as much as a wide one's.
        start = 0.0 if self.prior_tasks else 0.01
        heads = [_Weights(self.num_actions, start, name="logits")(size), _Weights(1, 1.0, name="value")(size)]
        kernel, bias = (jnp.concatenate(parts, axis=-1) for parts in zip(*heads, strict=True))
        outputs = project(hidden, kernel) + bias
        logits, value = outputs[..., :-1], outputs[..., -1]
        if self.prior_tasks:
            prior = Prior(self.horizon, self.prior_tasks, self.num_actions, name=PRIOR)
            logits += prior(seen.features, seen.stage)
        return logits, value


Network: TypeAlias = Any  # a `RouterNetwork`, or a module of the user's with its fields and its `__call__`


class _Weights(nn.Module):
    """Kernel [in, out] and bias [out] of a dense layer."""

    width: int
    scale: float

    @nn.compact
    def __call__(self, size: int) -> tuple[Float[Array, "in out"], Float[Array, " out"]]:
        kernel = self.param("kernel", nn.initializers.orthogonal(self.scale), (size, self.width))
        return kernel, self.param("bias", nn.initializers.zeros_init(), (self.width,))


def _first_layer(
    seen: PolicyInputs, embedding: Float[Array, "L S"], kernel: Float[Array, "in H"], bias: Float[Array, " H"]
) -> Float[Array, "*B H"]:
    """Dense over [features, stage embedding, spent, conditions], without building that concatenation.

    Each stage's embedding goes through its part of the kernel once, not once a row; a one-hot product picks it,
    because the gradient of a gather is a scatter, which is slow everywhere.
    """
    num_features, (num_stages, stage_size) = seen.features.shape[-1], embedding.shape
    by_stage = embedding @ kernel[num_features : num_features + stage_size] + bias
    few = [jax.nn.one_hot(seen.stage, num_stages, dtype=kernel.dtype), seen.spent[..., None], seen.conditions]
    few_kernel = jnp.concatenate([by_stage, kernel[num_features + stage_size :]])
    features = seen.features.astype(kernel.dtype)  # a table may hold half precision
    return project(features, kernel[:num_features], True) + project_few(jnp.concatenate(few, axis=-1), few_kernel)


class PolicyStatic(Protocol):
    """What fixes a policy's network and its legal actions; `LearnerStatic` says what each field means."""

    @property
    def network(self) -> str: ...
    @property
    def hidden(self) -> tuple[int, ...]: ...
    @property
    def stage_size(self) -> int: ...
    @property
    def allow_stop(self) -> bool: ...
    @property
    def prior(self) -> bool: ...


def build_network(table: DeviceTable, static: PolicyStatic) -> Network:
    """The network for a table's pool and horizon.

    Raises:
      InputError: if the import path of a user's network leads nowhere, or what it names does not take our fields.
    """
    prior = {"prior_tasks": table.num_tasks} if static.prior else {}  # a user's network knows of none
    return _network_class(static.network)(
        num_actions=table.tree.num_models + 1,
        horizon=table.tree.horizon,
        hidden=static.hidden,
        stage_size=static.stage_size,
        **prior,
    )


def _network_class(name: str) -> Callable[..., Network]:
    """What makes the network that a configuration names, from the fields of `RouterNetwork` by keyword.

    Raises:
      InputError: if an import path leads nowhere, or what it names does not take those fields.
    """
    if name == TWO_LAYER:
        return RouterNetwork
    chosen = load_object(name)

    def make(**fields: Any) -> Network:
        try:
            return chosen(**fields)
        except TypeError as error:
            raise InputError(f"network {name} must be a Flax module with {', '.join(fields)} ({error})") from None

    return make


def check_network(name: str, network: Network, params: Any, seen: PolicyInputs) -> None:
    """Refuse a user's network that keeps more than parameters, or whose outputs have other shapes.

    Nothing is computed: only shapes are.

    Raises:
      InputError: saying what it gives and what it should.
    """
    if name == TWO_LAYER:
        return
    if set(params) != {"params"}:
        raise InputError(f"network {name} keeps {', '.join(sorted(params))}, but may keep parameters (params) only")
    outputs = jax.eval_shape(network.apply, params, seen)
    wanted = ((*seen.stage.shape, network.num_actions), seen.stage.shape)
    found = tuple(leaf.shape for leaf in jax.tree.leaves(outputs))
    if found != wanted:
        raise InputError(
            f"network {name} gives outputs of shapes {found}, but should give logits and value of shapes {wanted}"
        )


def network_outputs(
    network: RouterNetwork, params: Any, seen: PolicyInputs
) -> tuple[Float[Array, "*B A"], Float[Array, "*B"]]:
    """Unmasked logits and values; `apply` with the types that Flax leaves out."""
    outputs: Any = network.apply(params, seen)
    return outputs


def gather_inputs(
    table: DeviceTable,
    query: Int[Array, "*B"],
    node: Int[Array, "*B"],
    conditions: Conditions = NONE,
    ranges: ConditionRanges | None = None,
) -> PolicyInputs:
    """The network's inputs at decision nodes, gathered where the network runs.

    Args:
      conditions: of each episode, if the policy is conditioned; then `ranges` scale them.
    """
    spent = table.spent[query, node]
    return PolicyInputs(
        features=by_vector_moves(table.features[query, node]),
        stage=jnp.asarray(table.tree.stages)[node],
        spent=spent,
        conditions=inputs(conditions, spent, ranges or ConditionRanges()),
    )
