"""The router's network: two tanh layers over features, a learned stage embedding, the cost spent and conditions."""

import operator
from functools import partial, reduce
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float, Int

from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.policies.conditions import NONE, ConditionRanges, Conditions, inputs
from hierrouter_jax.policies.prior import PRIOR, Prior


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


def project(x: Float[Array, "*B F"], kernel: Float[Array, "F H"], gathered: bool = False) -> Float[Array, "*B H"]:
    """x @ kernel, whose gradient towards the kernel is fast on a CPU too.

    Args:
      gathered: whether x are rows of a table, copied for this product.
    """
    product: Any = _project(x, kernel, gathered)
    return product


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _project(x, kernel, gathered):
    return x @ kernel


def _project_forward(x, kernel, gathered):
    return x @ kernel, (x, kernel)


def _project_backward(gathered, saved, g):
    x, kernel = saved
    # Rows of a table are not transposed: see `_by_vector_moves`.
    return g @ kernel.T, _kernel_gradient(x, g, transpose_g=gathered or g.shape[-1] < x.shape[-1])


_project.defvjp(_project_forward, _project_backward)


@jax.custom_vjp
def project_few(x: Float[Array, "*B F"], kernel: Float[Array, "F H"]) -> Float[Array, "*B H"]:
    """x @ kernel of few columns, as a sum of outer products, which XLA computes within what it is added to."""
    kernel = jax.lax.optimization_barrier(kernel)  # once, not for every row
    return reduce(operator.add, (x[..., column, None] * kernel[column] for column in range(len(kernel))))


def _project_few_forward(x, kernel):
    return project_few(x, kernel), (x, kernel)


def _project_few_backward(saved, g):
    x, kernel = saved
    return g @ kernel.T, _kernel_gradient(x, g, transpose_g=False)


project_few.defvjp(_project_few_forward, _project_few_backward)


def _kernel_gradient(x: Float[Array, "*B F"], g: Float[Array, "*B H"], transpose_g: bool) -> Float[Array, "F H"]:
    """x^T @ g, summed over all rows.

    On a CPU it runs at two thirds of the speed of a product whose left side lies transposed in memory already, so
    one of the two is transposed first. XLA would fold the transposition back into the product, hence the barriers.
    """
    rows, columns = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
    barrier = jax.lax.optimization_barrier

    def transposed_first(rows, columns):
        if transpose_g:
            return barrier(barrier(columns.T) @ rows).T
        return barrier(rows.T) @ columns

    return jax.lax.platform_dependent(
        rows, columns, cpu=transposed_first, default=lambda rows, columns: rows.T @ columns
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
        features=_by_vector_moves(table.features[query, node]),
        stage=jnp.asarray(table.tree.stages)[node],
        spent=spent,
        conditions=inputs(conditions, spent, ranges or ConditionRanges()),
    )


def _by_vector_moves(rows: Float[Array, "*B F"]) -> Float[Array, "*B F"]:
    """Rows of a table as they are, in a form that a CPU copies at three times the speed.

    Copies of up to some 75 numbers XLA unrolls into moves of single ones; of numbers that something is computed of it
    makes a loop of vectors, provided that the copy is used by products alone.
    """
    return jnp.maximum(rows, jnp.finfo(rows.dtype).min)
