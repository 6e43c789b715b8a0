"""The routing MDP: pure `reset` and `step` over the outcome table, for one episode or any batch of them."""

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from hierrouter_jax.envs.rewards import RewardWeights, hop_reward, stop_reward
from hierrouter_jax.envs.types import DeviceTable, RoutingState, Step


def reset(key: PRNGKeyArray, table: DeviceTable, num_episodes: int) -> RoutingState:
    """Start episodes at the root of uniformly drawn queries; one random draw for the whole batch."""
    query = jax.random.randint(key, (num_episodes,), 0, table.num_queries, dtype=jnp.int32)
    return start(query)


def start(query: Int[Array, "*B"]) -> RoutingState:
    """Start episodes at the root of given queries."""
    query = jnp.asarray(query, jnp.int32)
    return RoutingState(query=query, node=jnp.zeros_like(query), done=jnp.zeros_like(query, dtype=bool))


def stage(state: RoutingState, table: DeviceTable) -> Int[Array, "*B"]:
    """Hops done so far."""
    return jnp.asarray(table.tree.stages)[state.node]


def model_mask(query: Int[Array, "*B"], node: Int[Array, "*B"], table: DeviceTable) -> Bool[Array, "*B M"]:
    """Models whose outcome at `node` is in the table; none at stage L."""
    children = table.tree.child(node[..., None], jnp.arange(table.tree.num_models))
    inside = children < table.tree.num_nodes
    return inside & table.available[query[..., None], jnp.where(inside, children, 0)]


def action_mask(state: RoutingState, table: DeviceTable, allow_stop: bool) -> Bool[Array, "*B A"]:
    """Legal actions: available models, and STOP after the first hop where it is allowed.

    A finished episode may only STOP, which changes nothing; so every row has a legal action.
    """
    models = model_mask(state.query, state.node, table) & ~state.done[..., None]
    stop = state.done | ((state.node > 0) & allow_stop)
    return jnp.concatenate([models, stop[..., None]], axis=-1)


def step(
    state: RoutingState, action: Int[Array, "*B"], table: DeviceTable, weights: RewardWeights, allow_stop: bool
) -> tuple[RoutingState, Step]:
    """Call a model (action 0..M-1) or STOP (action M).

    An illegal action ends the episode with reward 0; a masked policy never takes one.

    Raises:
      AssertionError: if `action` and `state` have different shapes.
    """
    chex.assert_equal_shape([state.query, state.node, state.done, action])
    tree = table.tree
    mask = action_mask(state, table, allow_stop)
    legal = jnp.take_along_axis(mask, action[..., None], axis=-1)[..., 0]
    stops = action == tree.num_models
    child = jnp.where(stops | ~legal, state.node, tree.child(state.node, action))
    leaf = ~model_mask(state.query, child, table).any(axis=-1)
    reward = jnp.where(
        stops,
        stop_reward(table.quality[state.query, state.node], weights),
        hop_reward(
            table.quality[state.query, state.node],
            table.quality[state.query, child],
            table.cost[state.query, child],
            leaf,
            weights,
        ),
    )
    done = state.done | stops | leaf | ~legal
    step_result = Step(reward=jnp.where(state.done | ~legal, 0.0, reward), terminated=done)
    return RoutingState(query=state.query, node=child, done=done), step_result


def entering_rewards(table: DeviceTable, weights: RewardWeights) -> Float[Array, "Q N"]:
    """Reward of *entering* each node, as `step` gives it; column 0 is meaningless."""
    tree = table.tree
    nodes = jnp.arange(tree.num_nodes)
    before = table.quality[:, jnp.maximum(tree.parent(nodes), 0)]
    return hop_reward(before, table.quality, table.cost, leaves(table), weights)


def leaves(table: DeviceTable) -> Bool[Array, "Q N"]:
    """Nodes without an available child; entering one ends the episode."""
    query = jnp.arange(table.num_queries)[:, None]
    return ~model_mask(query, jnp.arange(table.tree.num_nodes)[None], table).any(axis=-1)
