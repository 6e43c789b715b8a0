"""What the environment is made of: the table on the device, the state and one step's result."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.table import RIGHT, OutcomeTable

P = ParamSpec("P")
R = TypeVar("R")


def single_precision(function: Callable[P, R]) -> Callable[P, R]:
    """The function with 32-bit types in all that it makes of numbers, also while JAX traces it.

    States, draws and rounding are then the same with and without 64-bit types, so that a run can be taken up by a
    process of either kind. Arrays of 64 bits that are handed in are read at 32 bits.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.enable_x64(False):
            return function(*args, **kwargs)

    return run


@struct.dataclass
class DeviceTable:
    """The outcome table as a pytree. Pass it as an argument of a jitted function, never closed over.

    Attributes:
      features: [Q, D, F] float32 or float16, context embeddings after the run's feature reduction.
      quality: [Q, N] float32, score of answering with the node's response.
      cost: [Q, N] float32, cost of entering the node over the cost normaliser.
      spent: [Q, N] float32, accumulated cost of the route to the node over the cost normaliser.
      available: [Q, N] bool.
      task: [Q] int32.
      tree: static.
      charge: [Q, N] float32, the most that entering the node can cost, over the cost normaliser; None where the
        pool's limits are unknown. A budget needs it.
      cheapest_right: [Q] float32, cost of the query's cheapest right route (of its cheapest at all, where none is
        right), over the cost normaliser.
      tokens: [Q, N] float32, that the hop into the node wrote.
      seconds: [Q, N] float32, that it took; None where the table holds no latencies.
      num_tasks: static; how many `task` may name.

    `cheapest_right`, `tokens` and `seconds` are only for reward terms that look at them; where None, these are 0.
    """

    features: Float[Array, "Q D F"]
    quality: Float[Array, "Q N"]
    cost: Float[Array, "Q N"]
    spent: Float[Array, "Q N"]
    available: Bool[Array, "Q N"]
    task: Int[Array, " Q"]
    tree: HopTree = struct.field(pytree_node=False)
    charge: Float[Array, "Q N"] | None = None
    cheapest_right: Float[Array, " Q"] | None = None
    tokens: Float[Array, "Q N"] | None = None
    seconds: Float[Array, "Q N"] | None = None
    num_tasks: int = struct.field(pytree_node=False, default=1)

    @property
    def num_queries(self) -> int:
        return self.quality.shape[0]

    def take(self, query: Int[Array, " B"]) -> "DeviceTable":
        """The table of some queries only, repeated as often as they are named."""
        return jax.tree.map(lambda leaf: leaf[query], self)


@struct.dataclass
class RoutingState:
    """State of one episode, or of a batch of them under any leading axes.

    Attributes:
      query: int32 row of the table.
      node: int32 node of the hop tree.
      done: bool, whether the episode has ended; a finished episode stays where it is.
      budget: float32, the most that the whole route may cost, over the cost normaliser; None where there is none.
    """

    query: Int[Array, "*B"]
    node: Int[Array, "*B"]
    done: Bool[Array, "*B"]
    budget: Float[Array, "*B"] | None = None


@struct.dataclass
class Step:
    """What one step gave.

    Attributes:
      reward: float32, 0 for an episode that had ended before.
      terminated: bool, whether the episode has ended by now. Episodes are never truncated.
    """

    reward: Float[Array, "*B"]
    terminated: Bool[Array, "*B"]


def accumulate_cost(cost: Float[np.ndarray, "Q N"], tree: HopTree) -> Float[np.ndarray, "Q N"]:
    """Cost of the whole route to each node: every ancestor's cost and its own."""
    spent = cost.copy()
    for node in range(1, tree.num_nodes):
        spent[:, node] += spent[:, tree.parent(node)]
    return spent


@single_precision
def device_table(table: OutcomeTable, features: Float[np.ndarray, "Q D F"], cost_normaliser: float) -> DeviceTable:
    """Put a host table on the device.

    Args:
      table: the outcomes.
      features: its context embeddings after the run's feature reduction; float16 stays so, to halve the memory.
      cost_normaliser: mean cost of one call on the training split, in the table's money unit.
    """
    cost = table.cost / cost_normaliser
    spent = accumulate_cost(cost, table.tree)
    half = features.dtype == np.float16
    return DeviceTable(
        features=jnp.asarray(features, jnp.float16 if half else jnp.float32),
        quality=jnp.asarray(table.quality, jnp.float32),
        cost=jnp.asarray(cost, jnp.float32),
        spent=jnp.asarray(spent, jnp.float32),
        available=jnp.asarray(table.available),
        task=jnp.asarray(table.task, jnp.int32),
        tree=table.tree,
        charge=None if table.charge is None else jnp.asarray(table.charge / cost_normaliser, jnp.float32),
        cheapest_right=jnp.asarray(cheapest_right(table, spent), jnp.float32),
        tokens=jnp.asarray(table.tokens_out, jnp.float32),
        seconds=None if table.latency is None else jnp.asarray(table.latency, jnp.float32),
        num_tasks=len(table.task_names),
    )


def cheapest_right(table: OutcomeTable, spent: Float[np.ndarray, "Q N"]) -> Float[np.ndarray, " Q"]:
    """Cost of each query's cheapest right route, or, where none is right, of its cheapest route."""
    cost = np.where(table.available, spent, np.inf)[:, 1:]
    right = np.where(table.quality[:, 1:] >= RIGHT, cost, np.inf).min(axis=1)
    return np.where(np.isfinite(right), right, cost.min(axis=1))
