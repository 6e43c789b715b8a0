"""The exact learner: ascent on the closed-form expected return of a stochastic policy over whole hop trees."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hierrouter_jax.agents.batching import draw_trees, tree_rewards
from hierrouter_jax.agents.guidance import guidance_share, guide
from hierrouter_jax.agents.optimizer import apply_gradient, entropy_bonus
from hierrouter_jax.agents.types import LearnerHyper, LearnerState, LearnerStatic, Metrics
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.exact import expected_return, reach_probability
from hierrouter_jax.evaluation.tree_policy import run_network
from hierrouter_jax.policies.conditions import Conditions
from hierrouter_jax.policies.masking import entropies
from hierrouter_jax.policies.network import RouterNetwork


def objective(
    params: Any,
    table: DeviceTable,
    conditions: Conditions,
    network: RouterNetwork,
    static: LearnerStatic,
    hyper: LearnerHyper,
    bonus: Float[Array, ""] | float,
    share: Float[Array, ""] | float = 0.0,
) -> tuple[Float[Array, ""], Metrics]:
    """-(mean expected return + bonus x expected sum of the entropies along the route), in closed form.

    Return and route are those of the policy under guidance of that share (`agents.guidance`).
    """
    policy = run_network(network, params, table, conditions, static.allow_stop, hyper.ranges)
    log_probs = policy.log_probs()
    probs = (1 - share) * jnp.exp(log_probs) + guide(share, table, policy.mask, conditions, hyper)
    value = jnp.mean(expected_return(probs, table, tree_rewards(hyper, conditions), hyper.gamma))
    reach = reach_probability(probs, table.tree)
    decided = reach[:, : table.tree.num_decision_nodes]
    entropy = jnp.mean(jnp.sum(decided * entropies(log_probs, policy.mask), axis=1))
    metrics = {
        "train_return": value,
        "train_cost": jnp.mean(jnp.sum(reach * table.cost, axis=1)),
        "entropy": entropy / table.tree.horizon,
    }
    return -(value + bonus * entropy), metrics


def update(
    state: LearnerState, table: DeviceTable, network: RouterNetwork, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """epochs x minibatches steps up the gradient, each on the whole trees of freshly drawn queries."""
    draw_key, key = jax.random.split(state.key)
    progress = state.update / static.num_updates
    share = guidance_share(hyper, progress, table.tree)
    size = static.num_envs // static.minibatches

    def step(carry, step_key):
        params, optimizer = carry
        trees, conditions = draw_trees(step_key, table, size, static, hyper)
        bonus = entropy_bonus(hyper, progress)
        gradient, metrics = jax.grad(objective, has_aux=True)(
            params, trees, conditions, network, static, hyper, bonus, share
        )
        return apply_gradient(params, optimizer, gradient, hyper, progress), metrics

    keys = jax.random.split(draw_key, static.epochs * static.minibatches)
    (params, optimizer), metrics = jax.lax.scan(step, (state.params, state.optimizer), keys)
    metrics = jax.tree.map(jnp.mean, metrics)
    return replace(state, params=params, optimizer=optimizer, key=key, update=state.update + 1), metrics
