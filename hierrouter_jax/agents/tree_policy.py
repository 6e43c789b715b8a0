"""A policy over whole hop trees, as the learners without sampling see it."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.exact import decision_masks
from hierrouter_jax.policies.categorical import masked_log_probs
from hierrouter_jax.policies.conditions import Conditions
from hierrouter_jax.policies.network import RouterNetwork
from hierrouter_jax.policies.table_policy import decision_logits


def log_policy(
    params: Any,
    table: DeviceTable,
    told: Conditions,
    network: RouterNetwork,
    static: LearnerStatic,
    hyper: LearnerHyper,
) -> tuple[Float[Array, "Q D A"], Bool[Array, "Q D A"]]:
    """Logarithms of the policy's probabilities at every decision node, and which actions are legal."""
    mask = decision_masks(table, static.allow_stop, told.budget)
    return masked_log_probs(decision_logits(network, params, table, told, hyper.ranges), mask), mask


def entropies(log_probs: Float[Array, "Q D A"], mask: Bool[Array, "Q D A"]) -> Float[Array, "Q D"]:
    """Entropy of the policy at every decision node, in nats."""
    return -jnp.sum(jnp.where(mask, jnp.exp(log_probs) * log_probs, 0.0), axis=-1)
