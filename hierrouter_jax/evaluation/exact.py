"""Exact evaluation of policies on the hop tree: no sampling, because transitions are deterministic."""

import chex
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hierrouter_jax.envs.rewards import RewardWeights, stop_reward
from hierrouter_jax.envs.routing import entering_rewards, leaves, model_mask
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.hop_tree import HopTree


def decision_masks(table: DeviceTable, allow_stop: bool) -> Bool[Array, "Q D A"]:
    """Legal actions at every decision node of every query; nodes that cannot be decided at allow only STOP."""
    nodes = jnp.arange(table.tree.num_decision_nodes)
    query = jnp.arange(table.num_queries)[:, None]
    models = model_mask(query, nodes[None], table)
    stop = ~models.any(axis=-1) | ((nodes > 0) & allow_stop)
    return jnp.concatenate([models, stop[..., None]], axis=-1)


def expected_return(
    action_probs: Float[Array, "Q D A"],
    table: DeviceTable,
    weights: RewardWeights,
    gamma: Float[Array, ""] | float = 1.0,
) -> Float[Array, " Q"]:
    """Expected discounted return of a stochastic policy from each query's root, exactly.

    Transitions are deterministic, so the expectation is a backward sum over stages:
    V(n) = sum_a pi(a | n) * (r(child(n, a)) + gamma * V(child(n, a))) + pi(STOP | n) * r_stop(n), V = 0 at leaves.

    Args:
      action_probs: pi(a | n) at the D decision nodes, breadth-first, STOP last; rows sum to 1.

    Raises:
      AssertionError: if shapes disagree with the table's tree.
    """
    tree = table.tree
    chex.assert_shape(action_probs, (table.num_queries, tree.num_decision_nodes, tree.num_models + 1))
    entering, stopping = entering_rewards(table, weights), stop_reward(table.quality, weights)
    leaf = leaves(table)
    value = jnp.zeros_like(table.quality[:, tree.stage_slice(tree.horizon)])
    for stage in reversed(range(tree.horizon)):
        below, here = tree.stage_slice(stage + 1), tree.stage_slice(stage)
        entered = (entering[:, below] + gamma * value).reshape(table.num_queries, -1, tree.num_models)
        probs = action_probs[:, here]
        value = jnp.sum(probs[..., :-1] * entered, axis=-1) + probs[..., -1] * stopping[:, here]
        value = jnp.where(leaf[:, here], 0.0, value)
    return value[:, 0]


def end_probability(action_probs: Float[Array, "Q D A"], tree: HopTree) -> Float[Array, "Q N"]:
    """Probability that an episode ends with each node's response as its answer; rows sum to 1."""
    chex.assert_shape(action_probs, (None, tree.num_decision_nodes, tree.num_models + 1))
    reach = jnp.ones_like(action_probs[:, :1, 0])
    ends = []
    for stage in range(tree.horizon):
        probs = action_probs[:, tree.stage_slice(stage)]
        ends.append(reach * probs[..., -1])
        reach = (reach[..., None] * probs[..., :-1]).reshape(reach.shape[0], -1)
    return jnp.concatenate([*ends, reach], axis=1)


def greedy(logits: Float[Array, "Q D A"], mask: Bool[Array, "Q D A"]) -> Float[Array, "Q D A"]:
    """The deterministic policy that takes the best legal action, ties to the lowest index, as probabilities."""
    best = jnp.argmax(jnp.where(mask, logits, -jnp.inf), axis=-1)
    return (best[..., None] == jnp.arange(logits.shape[-1])).astype(jnp.float32)


def end_nodes(action_probs: Float[Array, "Q D A"], tree: HopTree) -> Int[Array, " Q"]:
    """Where a deterministic policy's episode ends."""
    return jnp.argmax(end_probability(action_probs, tree), axis=-1)
