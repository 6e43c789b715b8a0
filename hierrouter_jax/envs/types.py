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
from hierrouter_jax.outcomes.pricing import accumulate_cost
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
      features: context embeddings after the run's feature reduction [Q, D, F], float32 or float16.
      quality: score of answering with the node's response [Q, N], float32 in [0, 1].
      cost: cost of entering the node over the cost normaliser [Q, N], float32.
      spent: accumulated cost of the route to the node over the cost normaliser [Q, N], float32.
      available: whether the table holds the node [Q, N], bool.
      task: index of the query's task [Q], int32.
      tree: the hop tree that nodes belong to; static.
      charge: largest cost of entering the node, over the cost normaliser [Q, N], float32; None where the pool's
        limits are unknown. A budget needs it.
      cheapest_right: cost of the query's cheapest right route (of its cheapest at all, where none is right), over
        the cost normaliser [Q], float32.
      tokens: number of tokens that the hop into the node wrote [Q, N], float32.
      seconds: time that this hop took, in seconds [Q, N], float32; None where the table holds no latencies.
      question: number of the question that the row asks, from 0 [Q], int32; None where each row asks one of its own.
      num_tasks: number of tasks that `task` may name; static.
      tie_order: actions in the order in which they win ties, M for STOP (`outcomes/ties.py`); static. Empty: by index.

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
    question: Int[Array, " Q"] | None = None
    num_tasks: int = struct.field(pytree_node=False, default=1)
    tie_order: tuple[int, ...] = struct.field(pytree_node=False, default=())

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
      query: row of the table, int32.
      node: node of the hop tree, int32.
      done: whether the episode has ended, bool; a finished episode stays where it is.
      budget: largest cost of the whole route, over the cost normaliser, float32; None where there is no budget.
    """

    query: Int[Array, "*B"]
    node: Int[Array, "*B"]
    done: Bool[Array, "*B"]
    budget: Float[Array, "*B"] | None = None


@struct.dataclass
class Step:
    """The result of one step.

    Attributes:
      reward: reward of the step, float32; 0 for an episode that had ended before.
      terminated: whether the episode has ended by now, bool. Episodes are never truncated.
    """

    reward: Float[Array, "*B"]
    terminated: Bool[Array, "*B"]


@single_precision
def device_table(
    table: OutcomeTable,
    features: Float[np.ndarray, "Q D F"],
    cost_normaliser: float,
    tie_order: tuple[int, ...] = (),
) -> DeviceTable:
    """Put a host table on the device.

    Args:
      table: outcome table on the host.
      features: its context embeddings after the run's feature reduction; float16 stays so, to halve the memory.
      cost_normaliser: mean cost of one call on the training split, in the table's money unit.
      tie_order: actions in the order in which they win ties; by index unless given.
    """
    cost = table.cost / cost_normaliser
    spent = accumulate_cost(cost, table.tree)
    half, question = features.dtype == np.float16, table.question
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
        question=None if len(np.unique(question)) == len(question) else jnp.asarray(question, jnp.int32),
        num_tasks=len(table.task_names),
        tie_order=tie_order,
    )


def cheapest_right(table: OutcomeTable, spent: Float[np.ndarray, "Q N"]) -> Float[np.ndarray, " Q"]:
    """Cost of each query's cheapest right route, or, where none is right, of its cheapest route."""
    cost = np.where(table.available, spent, np.inf)[:, 1:]
    right = np.where(table.quality[:, 1:] >= RIGHT, cost, np.inf).min(axis=1)
    return np.where(np.isfinite(right), right, cost.min(axis=1))
