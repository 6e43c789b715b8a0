"""The routing MDP: pure `reset` and `step` over the outcome table, for one episode or any batch of them."""

from dataclasses import replace
from typing import Any

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from hierrouter_jax.envs.rewards import Hop, RewardWeights, Scalar, reward
from hierrouter_jax.envs.types import DeviceTable, RoutingState, Step, single_precision


@single_precision
def reset(key: PRNGKeyArray, table: DeviceTable, num_episodes: int) -> RoutingState:
    """Start episodes at the root of uniformly drawn queries; one random draw for the whole batch."""
    return start(draw_queries(key, table, num_episodes))


@single_precision
def draw_queries(key: PRNGKeyArray, table: DeviceTable, num_episodes: int) -> Int[Array, " B"]:
    """Uniformly drawn rows of the table."""
    return jax.random.randint(key, (num_episodes,), 0, table.num_queries, dtype=jnp.int32)


@single_precision
def start(query: Int[Array, "*B"], budget: Float[Array, "*B"] | None = None) -> RoutingState:
    """Start episodes at the root of given queries, each with a budget over the cost normaliser or without one.

    An episode whose budget pays for no model at all can only STOP at the root, for nothing; `smallest_budget`
    tells what a query needs.
    """
    query = jnp.asarray(query, jnp.int32)
    return RoutingState(query=query, node=jnp.zeros_like(query), done=jnp.zeros_like(query, dtype=bool), budget=budget)


def smallest_budget(query: Int[Array, "*B"], table: DeviceTable) -> Float[Array, "*B"]:
    """Budget that pays for the cheapest first hop of each query, whatever it writes.

    Raises:
      AssertionError: if the table has no charges.
    """
    assert table.charge is not None, "a budget needs a pool whose max_new_tokens are known"
    first = table.tree.stage_slice(1)
    return jnp.min(jnp.where(table.available[query, first], table.charge[query, first], jnp.inf), axis=-1)


def stage(state: RoutingState, table: DeviceTable) -> Int[Array, "*B"]:
    """Hops done so far."""
    return jnp.asarray(table.tree.stages)[state.node]


def model_mask(
    query: Int[Array, "*B"], node: Int[Array, "*B"], table: DeviceTable, budget: Float[Array, "*B"] | None = None
) -> Bool[Array, "*B M"]:
    """Models whose outcome at `node` is in the table and whose largest charge the budget still pays.

    None at stage L.
    """
    children = table.tree.child(node[..., None], jnp.arange(table.tree.num_models))
    inside = children < table.tree.num_nodes
    rows, children = query[..., None], jnp.where(inside, children, 0)
    possible = inside & table.available[rows, children]
    if budget is None:
        return possible
    assert table.charge is not None, "a budget needs a pool whose max_new_tokens are known"
    worst = table.spent[query, node][..., None] + table.charge[rows, children]
    return possible & (worst <= budget[..., None])


def action_mask(state: RoutingState, table: DeviceTable, allow_stop: bool) -> Bool[Array, "*B A"]:
    """Legal actions: the models that can be called, and STOP after the first hop where it is allowed.

    Under a budget STOP is always allowed once there is an answer. An episode that is finished, or whose budget
    pays for nothing, may only STOP; so every row has a legal action.
    """
    models = model_mask(state.query, state.node, table, state.budget) & ~state.done[..., None]
    stop = (state.node > 0) & (allow_stop or state.budget is not None)
    return jnp.concatenate([models, (stop | ~models.any(axis=-1))[..., None]], axis=-1)


def decision_masks(
    table: DeviceTable, allow_stop: bool, budget: Float[Array, " Q"] | None = None
) -> Bool[Array, "Q D A"]:
    """Legal actions at every decision node of every query; nodes that cannot be decided at allow only STOP.

    Args:
      budget: of each query, over the cost normaliser; under one, STOP is always allowed once there is an answer.
    """
    nodes = jnp.arange(table.tree.num_decision_nodes)
    query = jnp.arange(table.num_queries)[:, None]
    models = model_mask(query, nodes[None], table, None if budget is None else budget[:, None])
    stop = ~models.any(axis=-1) | ((nodes > 0) & (allow_stop or budget is not None))
    return jnp.concatenate([models, stop[..., None]], axis=-1)


@single_precision
def step(
    state: RoutingState,
    action: Int[Array, "*B"],
    table: DeviceTable,
    weights: RewardWeights,
    allow_stop: bool,
    gamma: Scalar = 1.0,
) -> tuple[RoutingState, Step]:
    """Call a model (action 0..M-1) or STOP (action M).

    An illegal action ends the episode with reward 0; a masked policy never takes one.

    Args:
      gamma: discount of the return; the reward's `potential` needs it.

    Raises:
      AssertionError: if `action` and `state` have different shapes.
    """
    chex.assert_equal_shape([state.query, state.node, state.done, action])
    tree = table.tree
    mask = action_mask(state, table, allow_stop)
    known = (action >= 0) & (action <= tree.num_models)
    action = jnp.where(known, action, tree.num_models).astype(jnp.int32)  # what is no action at all is made STOP
    legal = known & jnp.take_along_axis(mask, action[..., None], axis=-1)[..., 0]
    stops = action == tree.num_models
    child = jnp.where(stops | ~legal, state.node, tree.child(state.node, action))
    leaf = ~model_mask(state.query, child, table).any(axis=-1)
    row = state.query
    hop = Hop(
        quality_before=table.quality[row, state.node],
        quality_after=table.quality[row, child],
        cost=jnp.where(stops, 0.0, table.cost[row, child]),
        spent=table.spent[row, child],
        cheapest_right=_or_zero(table.cheapest_right, row),
        tokens=jnp.where(stops, 0.0, _or_zero(table.tokens, (row, child))),
        seconds=jnp.where(stops, 0.0, _or_zero(table.seconds, (row, child))),
        first=state.node == 0,
        terminal=stops | leaf,
        stop=stops,
        overrun_limit=weights.overrun_limit,
        gamma=gamma,
    )
    done = state.done | stops | leaf | ~legal
    earned = jnp.where(state.done | ~legal, 0.0, reward(hop, weights))
    return replace(state, node=child, done=done), Step(reward=earned, terminated=done)


def entering_rewards(table: DeviceTable, weights: RewardWeights, gamma: Scalar = 1.0) -> Float[Array, "Q N"]:
    """Reward of *entering* each node, as `step` gives it; column 0 is meaningless."""
    nodes = jnp.arange(table.tree.num_nodes)
    parent = jnp.maximum(table.tree.parent(nodes), 0)
    hop = Hop(
        quality_before=table.quality[:, parent],
        quality_after=table.quality,
        cost=table.cost,
        spent=table.spent,
        cheapest_right=_or_zero(table.cheapest_right, (slice(None), None)),
        tokens=_or_zero(table.tokens),
        seconds=_or_zero(table.seconds),
        first=parent == 0,
        terminal=leaves(table),
        stop=jnp.zeros((), bool),
        overrun_limit=weights.overrun_limit,
        gamma=gamma,
    )
    return reward(hop, weights)


def stopping_rewards(table: DeviceTable, weights: RewardWeights, gamma: Scalar = 1.0) -> Float[Array, "Q N"]:
    """Reward of STOP at each node, as `step` gives it; column 0 is meaningless."""
    nothing = jnp.zeros(())
    hop = Hop(
        quality_before=table.quality,
        quality_after=table.quality,
        cost=nothing,
        spent=table.spent,
        cheapest_right=_or_zero(table.cheapest_right, (slice(None), None)),
        tokens=nothing,
        seconds=nothing,
        first=jnp.arange(table.tree.num_nodes) == 0,
        terminal=jnp.ones((), bool),
        stop=jnp.ones((), bool),
        overrun_limit=weights.overrun_limit,
        gamma=gamma,
    )
    return reward(hop, weights)


def leaves(table: DeviceTable) -> Bool[Array, "Q N"]:
    """Nodes without an available child; entering one ends the episode."""
    query = jnp.arange(table.num_queries)[:, None]
    return ~model_mask(query, jnp.arange(table.tree.num_nodes)[None], table).any(axis=-1)


def _or_zero(leaf: Array | None, at: Any = ()) -> Array:
    return jnp.zeros(()) if leaf is None else leaf[at]
