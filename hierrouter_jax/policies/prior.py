"""A fitted prior of the policy: linear in the features, with a mean for every task, weighed by how likely each is."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float, Int

PRIOR = "prior"  # what the network calls its prior among its parameters


@struct.dataclass
class PriorWeights:
    """What is fitted, for L stages, T tasks, F features and A actions.

    Attributes:
      kernel: scores of each action by feature [L, F, A].
      means: scores of each action by task [L, T, A].
      task_kernel, task_bias: weights [L, F, T] and bias [L, T] whose softmax is the probability of each task.
    """

    kernel: Float[Array, "L F A"]
    means: Float[Array, "L T A"]
    task_kernel: Float[Array, "L F T"]
    task_bias: Float[Array, "L T"]

    @classmethod
    def zeros(cls, stages: int, features: int, tasks: int, actions: int) -> "PriorWeights":
        return cls(
            jnp.zeros((stages, features, actions)),
            jnp.zeros((stages, tasks, actions)),
            jnp.zeros((stages, features, tasks)),
            jnp.zeros((stages, tasks)),
        )


def prior_logits(
    weights: PriorWeights, features: Float[Array, "*B F"], stage: Int[Array, "*B"]
) -> Float[Array, "*B A"]:
    """x K + softmax(x C + c) M with the weights of each row's stage.

    Every stage's products are made and one is picked by a one-hot product: there are few stages, and a gather of
    whole matrices, one a row, would cost far more.
    """
    stages, size, actions = weights.kernel.shape
    tasks = weights.task_bias.shape[1]
    features = features.astype(weights.kernel.dtype)
    both = jnp.concatenate([weights.kernel, weights.task_kernel], axis=-1)
    flat = features @ jnp.moveaxis(both, 0, 1).reshape(size, stages * (actions + tasks))
    one_hot = jax.nn.one_hot(stage, stages, dtype=flat.dtype)
    picked = jnp.sum(flat.reshape(*stage.shape, stages, actions + tasks) * one_hot[..., None], axis=-2)
    task = jax.nn.softmax(picked[..., actions:] + one_hot @ weights.task_bias)
    by_task = jnp.tensordot(one_hot[..., None] * task[..., None, :], weights.means, axes=2)
    return picked[..., :actions] + by_task


class Prior(nn.Module):
    """`prior_logits` with weights that no gradient reaches: they are set once, by a fit."""

    stages: int
    tasks: int
    actions: int

    @nn.compact
    def __call__(self, features: Float[Array, "*B F"], stage: Int[Array, "*B"]) -> Float[Array, "*B A"]:
        blank = PriorWeights.zeros(self.stages, features.shape[-1], self.tasks, self.actions)
        named = {
            name: self.param(name, nn.initializers.zeros_init(), getattr(blank, name).shape)
            for name in PriorWeights.__dataclass_fields__
        }
        return prior_logits(PriorWeights(**jax.lax.stop_gradient(named)), features, stage)
