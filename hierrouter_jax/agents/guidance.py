"""Guidance against local optima: at first the best action, known by backward induction, takes over most decisions.

The learner climbs the return of the mixed policy (1 - k) pi + k pi*, whose share k falls to 0. An action is judged by
what the best later actions would make of it, and states that only they reach are visited, before pi can settle on an
answer that is safe and not the best. It is the curriculum of DAgger's mixed policies (Ross, Gordon and Bagnell 2011,
beta_i) under the learner's own objective; from k = 0 on it is the objective without guidance.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hierrouter_jax.agents.batching import tree_rewards
from hierrouter_jax.agents.types import LearnerHyper
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.exact import optimal_action_values
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.policies.conditions import Conditions


def guidance_share(hyper: LearnerHyper, progress: Float[Array, ""], tree: HopTree) -> Float[Array, ""]:
    """k after a share `progress` of all updates: from `guidance` linearly to 0 at `guidance_until`.

    Always 0 where there is one hop only: no later action can mislead about the first.
    """
    if tree.horizon == 1:
        return jnp.zeros(())
    left = 1 - progress / jnp.maximum(hyper.guidance_until, 1e-6)
    return hyper.guidance * jnp.where(progress < hyper.guidance_until, left, 0.0)


def optimal_policy(
    table: DeviceTable, mask: Bool[Array, "Q D A"], conditions: Conditions, hyper: LearnerHyper
) -> Float[Array, "Q D A"]:
    """pi*: the best actions by backward induction over the table, as probabilities; equally good ones share it.

    Args:
      mask: whether each action is legal.
      conditions: cost weight and budget of each of the Q queries.
    """
    values = optimal_action_values(table, tree_rewards(hyper, conditions), mask, hyper.gamma)
    best = (values >= jnp.max(values, axis=-1, keepdims=True) - 1e-6) & mask
    return best / jnp.sum(best, axis=-1, keepdims=True)


def guide(
    share: Float[Array, ""] | float,
    table: DeviceTable,
    mask: Bool[Array, "Q D A"],
    conditions: Conditions,
    hyper: LearnerHyper,
) -> Float[Array, "Q D A"]:
    """k pi*: what guidance adds to (1 - k) pi, by `optimal_policy`; nothing is computed where k is 0."""

    def best(table: DeviceTable) -> Float[Array, "Q D A"]:
        return share * optimal_policy(table, mask, conditions, hyper)

    def none(table: DeviceTable) -> Float[Array, "Q D A"]:
        return jnp.zeros(mask.shape, jax.eval_shape(best, table).dtype)

    return jax.lax.cond(share > 0, best, none, table)
