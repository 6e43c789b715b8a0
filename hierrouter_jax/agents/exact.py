"""Learning from whole hop trees: ascent on the exact expected return, and PPO's objective over all actions."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from hierrouter_jax.agents.losses import clipped_surrogate, dropout, normalise, weighted_mean
from hierrouter_jax.agents.optimise import apply_gradient, entropy_bonus
from hierrouter_jax.agents.ppo import draw_conditions
from hierrouter_jax.agents.types import LearnerHyper, LearnerState, LearnerStatic, Metrics
from hierrouter_jax.envs import routing
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.exact import (
    action_values,
    decision_masks,
    expected_return,
    optimal_action_values,
    reach_probability,
)
from hierrouter_jax.policies.categorical import masked_log_probs
from hierrouter_jax.policies.conditions import Conditions
from hierrouter_jax.policies.network import RouterNetwork
from hierrouter_jax.policies.table_policy import decision_logits

Gradient = Callable[..., tuple[Any, Metrics]]


def tree_rewards(hyper: LearnerHyper, told: Conditions) -> RewardWeights:
    """The run's reward over trees [Q, N], with the queries' own cost weights [Q, 1] where they have them."""
    return hyper.reward if told.cost_weight is None else replace(hyper.reward, hop_cost=told.cost_weight[:, None])


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


def objective(
    params: Any,
    table: DeviceTable,
    told: Conditions,
    network: RouterNetwork,
    static: LearnerStatic,
    hyper: LearnerHyper,
    bonus: Float[Array, ""] | float,
) -> tuple[Float[Array, ""], Metrics]:
    """-(mean expected return + bonus x expected sum of the entropies along the route), in closed form."""
    log_probs, mask = log_policy(params, table, told, network, static, hyper)
    probs = jnp.exp(log_probs)
    value = jnp.mean(expected_return(probs, table, tree_rewards(hyper, told), hyper.gamma))
    reach = reach_probability(probs, table.tree)[:, : table.tree.num_decision_nodes]
    entropy = jnp.mean(jnp.sum(reach * entropies(log_probs, mask), axis=1))
    return -(value + bonus * entropy), {"train_return": value, "entropy": entropy / table.tree.horizon}


def update_exact(
    state: LearnerState, table: DeviceTable, network: RouterNetwork, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """epochs x minibatches steps up the gradient, each on the whole trees of freshly drawn queries."""
    draw_key, key = jax.random.split(state.key)
    progress = state.update / static.num_updates
    size = static.num_envs // static.minibatches

    def step(carry, step_key):
        query_key, condition_key, drop_key = jax.random.split(step_key, 3)
        params, optimizer = carry
        query = routing.draw_queries(query_key, table, size)
        told = draw_conditions(condition_key, query, table, static, hyper)
        part = table.take(query)
        part = replace(part, features=dropout(drop_key, part.features, hyper.dropout))
        gradient, metrics = jax.grad(objective, has_aux=True)(
            params, part, told, network, static, hyper, entropy_bonus(hyper, progress)
        )
        return apply_gradient(params, optimizer, gradient, hyper, progress), metrics

    keys = jax.random.split(draw_key, static.epochs * static.minibatches)
    (params, optimizer), metrics = jax.lax.scan(step, (state.params, state.optimizer), keys)
    metrics = jax.tree.map(jnp.mean, metrics)
    return replace(state, params=params, optimizer=optimizer, key=key, update=state.update + 1), metrics


def update_all_actions(
    state: LearnerState, table: DeviceTable, network: RouterNetwork, static: LearnerStatic, hyper: LearnerHyper
) -> tuple[LearnerState, Metrics]:
    """PPO without sampling: advantages of all actions at all nodes of drawn queries, then epochs over the queries."""
    query_key, condition_key, shuffle_key, drop_key, key = jax.random.split(state.key, 5)
    progress = state.update / static.num_updates
    query = routing.draw_queries(query_key, table, static.num_envs)
    told = draw_conditions(condition_key, query, table, static, hyper)
    trees = table.take(query)
    log_probs, mask = log_policy(state.params, trees, told, network, static, hyper)
    probs = jnp.exp(log_probs)
    values = action_values(probs, trees, tree_rewards(hyper, told), hyper.gamma)
    baseline = jnp.sum(probs * values, axis=-1, keepdims=True)
    decisions = table.tree.num_decision_nodes
    discount = jnp.power(hyper.gamma, jnp.asarray(table.tree.stages[:decisions], jnp.float32))
    weight = (reach_probability(probs, table.tree)[:, :decisions] * discount)[..., None] * probs
    # Where nothing can be decided there is nothing to learn, and STOP's value at a leaf is meaningless.
    weight = weight * (jnp.sum(mask, axis=-1, keepdims=True) > 1)
    old = {"trees": trees, "told": told, "log_probs": log_probs, "advantage": values - baseline, "weight": weight}

    def epoch(carry, keys):
        order = jax.random.permutation(keys[0], static.num_envs).reshape(static.minibatches, -1)
        return jax.lax.scan(minibatch, carry, (order, jax.random.split(keys[1], static.minibatches)))

    def minibatch(carry, inputs):
        (params, optimizer), (rows, its_key) = carry, inputs
        part = jax.tree.map(lambda leaf: leaf[rows], old)
        part["trees"] = replace(part["trees"], features=dropout(its_key, part["trees"].features, hyper.dropout))
        gradient, metrics = jax.grad(all_actions_loss, has_aux=True)(params, part, network, static, hyper, progress)
        return apply_gradient(params, optimizer, gradient, hyper, progress), metrics

    keys = jax.random.split(shuffle_key, static.epochs), jax.random.split(drop_key, static.epochs)
    (params, optimizer), metrics = jax.lax.scan(epoch, (state.params, state.optimizer), keys)
    metrics = jax.tree.map(jnp.mean, metrics) | {"train_return": jnp.mean(baseline[:, 0, 0])}
    return replace(state, params=params, optimizer=optimizer, key=key, update=state.update + 1), metrics


def all_actions_loss(
    params: Any,
    old: dict[str, Any],
    network: RouterNetwork,
    static: LearnerStatic,
    hyper: LearnerHyper,
    progress: Float[Array, ""],
) -> tuple[Float[Array, ""], Metrics]:
    """-sum over nodes and actions of reach x pi_old x clipped surrogate, - entropy bonus.

    The expectation that PPO's sampled surrogate (Schulman et al. 2017, eq. 7) estimates.
    """
    log_probs, mask = log_policy(params, old["trees"], old["told"], network, static, hyper)
    weight = jnp.where(mask, old["weight"], 0.0)
    log_ratio = jnp.where(mask, log_probs - old["log_probs"], 0.0)
    advantage = normalise(jnp.where(mask, old["advantage"], 0.0), weight)
    policy_loss = -weighted_mean(clipped_surrogate(jnp.exp(log_ratio), advantage, hyper.clip), weight)
    entropy = weighted_mean(entropies(log_probs, mask), jnp.sum(weight, axis=-1))
    metrics = {
        "policy_loss": policy_loss,
        "entropy": entropy,
        "approx_kl": weighted_mean(jnp.expm1(log_ratio) - log_ratio, weight),
        "clip_fraction": weighted_mean((jnp.abs(jnp.expm1(log_ratio)) > hyper.clip).astype(jnp.float32), weight),
    }
    return policy_loss - entropy_bonus(hyper, progress) * entropy, metrics


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
        query_key, condition_key, drop_key = jax.random.split(step_key, 3)
        query = routing.draw_queries(query_key, table, size)
        told = draw_conditions(condition_key, query, table, static, hyper)
        part = table.take(query)
        part = replace(part, features=dropout(drop_key, part.features, hyper.dropout))
        gradient = jax.grad(imitation_loss)(carry[0], part, told, network, static, hyper)
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
