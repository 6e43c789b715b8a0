"""Ascent on the predicted return of all actions at the contexts of a log: its exact gradient."""

from dataclasses import replace
from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from hierrouter_jax.agents.batching import dropout
from hierrouter_jax.agents.optimizer import apply_gradient, entropy_bonus
from hierrouter_jax.agents.types import LearnerHyper, LearnerState, LearnerStatic, Metrics
from hierrouter_jax.policies.masking import entropies, masked_log_probs
from hierrouter_jax.policies.network import Network, PolicyInputs, network_outputs


@struct.dataclass
class ContextValues:
    """C contexts of a log, and what each action returns there; perhaps with padding behind them.

    Attributes:
      features: context embedding after the run's feature reduction [C, F].
      stage: number of hops done [C].
      spent: money spent before, over the cost normaliser [C].
      mask: actions that can be taken [C, A], bool.
      values: predicted return of each action [C, A]; ignored where the mask forbids it.
      count: number of contexts; rows behind them are never drawn.
    """

    features: Float[Array, "C F"]
    stage: Int[Array, " C"]
    spent: Float[Array, " C"]
    mask: Bool[Array, "C A"]
    values: Float[Array, "C A"]
    count: Int[Array, ""] | int

    def take(self, rows: Int[Array, " B"]) -> "ContextValues":
        """Some of the contexts."""
        by_context = self.features, self.stage, self.spent, self.mask, self.values
        return ContextValues(*(leaf[rows] for leaf in by_context), count=len(rows))


def objective(
    params: Any, contexts: ContextValues, network: Network, bonus: Float[Array, ""] | float
) -> tuple[Float[Array, ""], Metrics]:
    """-(mean over contexts of sum_a pi(a | c) Q(c, a) + bonus x mean entropy).

    Its gradient is that of the expected return (the policy gradient theorem, Sutton et al. 2000), with the contexts of
    the log in place of those that the policy itself would come to.
    """
    chex.assert_equal_shape([contexts.mask, contexts.values])
    seen = PolicyInputs(contexts.features, contexts.stage, contexts.spent, jnp.zeros((len(contexts.stage), 0)))
    log_probs = masked_log_probs(network_outputs(network, params, seen)[0], contexts.mask)
    worth = jnp.sum(jnp.where(contexts.mask, jnp.exp(log_probs) * contexts.values, 0.0), axis=-1)
    entropy = jnp.mean(entropies(log_probs, contexts.mask))
    value = jnp.mean(worth)
    return -(value + bonus * entropy), {"train_return": value, "entropy": entropy}


def update(
    state: LearnerState, contexts: ContextValues, network: Network, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """epochs x minibatches steps up the gradient, each on freshly drawn contexts, `num_envs` an epoch."""
    draw_key, key = jax.random.split(state.key)
    progress = state.update / static.num_updates
    size = static.num_envs // static.minibatches

    def step(carry, step_key):
        params, optimizer = carry
        row_key, drop_key = jax.random.split(step_key)
        part = contexts.take(jax.random.randint(row_key, (size,), 0, contexts.count))
        part = replace(part, features=dropout(drop_key, part.features, hyper.dropout))
        gradient, metrics = jax.grad(objective, has_aux=True)(params, part, network, entropy_bonus(hyper, progress))
        return apply_gradient(params, optimizer, gradient, hyper, progress), metrics

    keys = jax.random.split(draw_key, static.epochs * static.minibatches)
    (params, optimizer), metrics = jax.lax.scan(step, (state.params, state.optimizer), keys)
    metrics = jax.tree.map(jnp.mean, metrics)
    return replace(state, params=params, optimizer=optimizer, key=key, update=state.update + 1), metrics
