"""A start from imitation: backward induction over the table gives the best actions for free."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hierrouter_jax.agents.episodes import draw_trees, tree_rewards
from hierrouter_jax.agents.losses import weighted_mean
from hierrouter_jax.agents.optimise import apply_gradient
from hierrouter_jax.agents.tree_policy import log_policy
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.exact import optimal_action_values
from hierrouter_jax.policies.conditions import Conditions
from hierrouter_jax.policies.network import RouterNetwork


def warm_start(
    key: PRNGKeyArray,
    params: Any,
    optimizer: Any,
    table: DeviceTable,
    network: RouterNetwork,
    static: LearnerStatic,
    hyper: LearnerHyper,
) -> Any:
    """Parameters after `warm_start` epochs of imitating the best actions at every node of every query.

    The best actions are those of backward induction over the table; where several are equally good they share the
    probability. Every stage weighs the same, however many nodes it has.
    """
    size = min(table.num_queries, static.num_envs // static.minibatches)
    steps = static.warm_start * max(1, table.num_queries // size)

    def step(carry, inputs):
        step_key, progress = inputs
        trees, told = draw_trees(step_key, table, size, static, hyper)
        gradient = jax.grad(imitation_loss)(carry[0], trees, told, network, static, hyper)
        return apply_gradient(carry[0], carry[1], gradient, hyper, progress), None

    inputs = jax.random.split(key, steps), jnp.arange(steps) / steps
    (params, _), _ = jax.lax.scan(step, (params, optimizer), inputs)
    return params


def imitation_loss(
    params: Any,
    table: DeviceTable,
    told: Conditions,
    network: RouterNetwork,
    static: LearnerStatic,
    hyper: LearnerHyper,
) -> Float[Array, ""]:
    """Cross-entropy from the best actions to the policy, every stage weighing the same."""
    log_probs, mask = log_policy(params, table, told, network, static, hyper)
    values = optimal_action_values(table, tree_rewards(hyper, told), mask, hyper.gamma)
    best = (values >= jnp.max(values, axis=-1, keepdims=True) - 1e-6) & mask
    target = best / jnp.sum(best, axis=-1, keepdims=True)
    decisions = table.tree.num_decision_nodes
    weight = float(table.tree.num_models) ** -table.tree.stages[:decisions].astype(float)
    open_nodes = jnp.sum(mask, axis=-1) > 1
    return weighted_mean(-jnp.sum(jnp.where(best, target * log_probs, 0.0), axis=-1), open_nodes * weight)
