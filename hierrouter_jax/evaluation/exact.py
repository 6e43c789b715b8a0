"""Exact evaluation of policies on the hop tree: no sampling, because transitions are deterministic."""

from collections.abc import Callable

import chex
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hierrouter_jax.envs.rewards import RewardWeights, Scalar
from hierrouter_jax.envs.routing import entering_rewards, leaves, stopping_rewards
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.hop_tree import HopTree


def expected_return(
    action_probs: Float[Array, "Q D A"], table: DeviceTable, weights: RewardWeights, gamma: Scalar = 1.0
) -> Float[Array, " Q"]:
    """Expected discounted return of a stochastic policy from each query's root, exactly.

    Transitions are deterministic, so the expectation is a backward sum over stages:
    V(n) = sum_a pi(a | n) * (r(child(n, a)) + gamma * V(child(n, a))) + pi(STOP | n) * r_stop(n), V = 0 at leaves.

    Args:
      action_probs: pi(a | n) at the D decision nodes, breadth-first, STOP last; rows sum to 1.

    Raises:
      AssertionError: if shapes disagree with the table's tree.
    """
    return node_values(action_probs, table, weights, gamma)[:, 0]


def node_values(
    action_probs: Float[Array, "Q D A"], table: DeviceTable, weights: RewardWeights, gamma: Scalar = 1.0
) -> Float[Array, "Q D"]:
    """V(n) of a stochastic policy at every decision node; 0 at leaves."""
    chex.assert_shape(action_probs, (table.num_queries, table.tree.num_decision_nodes, table.tree.num_models + 1))

    def mean(per_action: Float[Array, "Q S A"], nodes: slice) -> Float[Array, "Q S"]:
        return jnp.sum(action_probs[:, nodes] * per_action, axis=-1)

    return _backward(table, weights, gamma, mean)[0]


def action_values(
    action_probs: Float[Array, "Q D A"], table: DeviceTable, weights: RewardWeights, gamma: Scalar = 1.0
) -> Float[Array, "Q D A"]:
    """Return of taking each action at each decision node and following the policy from there.

    Q(n, a) = r(child(n, a)) + gamma * V(child(n, a)), Q(n, STOP) = r_stop(n); meaningless for illegal actions.
    """
    chex.assert_shape(action_probs, (table.num_queries, table.tree.num_decision_nodes, table.tree.num_models + 1))

    def mean(per_action: Float[Array, "Q S A"], nodes: slice) -> Float[Array, "Q S"]:
        return jnp.sum(action_probs[:, nodes] * per_action, axis=-1)

    return _backward(table, weights, gamma, mean)[1]


def optimal_action_values(
    table: DeviceTable, weights: RewardWeights, mask: Bool[Array, "Q D A"], gamma: Scalar = 1.0
) -> Float[Array, "Q D A"]:
    """Return of taking each action and acting best from there, by backward induction; -inf for illegal actions.

    V*(n) = max over legal a of r(child(n, a)) + gamma * V*(child(n, a)), and of r_stop(n) where STOP is legal.
    """

    def best(per_action: Float[Array, "Q S A"], nodes: slice) -> Float[Array, "Q S"]:
        return jnp.max(jnp.where(mask[:, nodes], per_action, -jnp.inf), axis=-1)

    return jnp.where(mask, _backward(table, weights, gamma, best)[1], -jnp.inf)


def _backward(
    table: DeviceTable,
    weights: RewardWeights,
    gamma: Scalar,
    summarise: Callable[[Float[Array, "Q S A"], slice], Float[Array, "Q S"]],
) -> tuple[Float[Array, "Q D"], Float[Array, "Q D A"]]:
    """Values and action values, stage by stage from the last; `summarise` makes a node's value of its actions'."""
    tree = table.tree
    entering, stopping = entering_rewards(table, weights, gamma), stopping_rewards(table, weights, gamma)
    leaf = leaves(table)
    below = jnp.zeros_like(table.quality[:, tree.stage_slice(tree.horizon)])
    values, per_actions = [], []
    for stage in reversed(range(tree.horizon)):
        here, there = tree.stage_slice(stage), tree.stage_slice(stage + 1)
        entered = (entering[:, there] + gamma * below).reshape(table.num_queries, -1, tree.num_models)
        per_action = jnp.concatenate([entered, stopping[:, here, None]], axis=-1)
        below = jnp.where(leaf[:, here], 0.0, summarise(per_action, here))
        values.append(below)
        per_actions.append(per_action)
    return jnp.concatenate(values[::-1], axis=1), jnp.concatenate(per_actions[::-1], axis=1)


def reach_probability(action_probs: Float[Array, "Q D A"], tree: HopTree) -> Float[Array, "Q N"]:
    """Probability that an episode passes or ends at each node."""
    chex.assert_shape(action_probs, (None, tree.num_decision_nodes, tree.num_models + 1))
    reach = jnp.ones_like(action_probs[:, :1, 0])
    reached = [reach]
    for stage in range(tree.horizon):
        probs = action_probs[:, tree.stage_slice(stage)]
        reach = (reach[..., None] * probs[..., :-1]).reshape(reach.shape[0], -1)
        reached.append(reach)
    return jnp.concatenate(reached, axis=1)


def end_probability(action_probs: Float[Array, "Q D A"], tree: HopTree) -> Float[Array, "Q N"]:
    """Probability that an episode ends with each node's response as its answer; rows sum to 1."""
    reach = reach_probability(action_probs, tree)
    decided = tree.num_decision_nodes
    return jnp.concatenate([reach[:, :decided] * action_probs[..., -1], reach[:, decided:]], axis=1)


def end_nodes(action_probs: Float[Array, "Q D A"], tree: HopTree) -> Int[Array, " Q"]:
    """Where a deterministic policy's episode ends."""
    return jnp.argmax(end_probability(action_probs, tree), axis=-1)
