"""Ceilings: the best that any policy with a given action set could have done, and what no single call can pass."""

import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.envs.types import accumulate_cost
from hierrouter_jax.evaluation.outcome import RIGHT
from hierrouter_jax.outcomes.table import OutcomeTable


def oracle_fixed(table: OutcomeTable) -> Int[np.ndarray, " Q"]:
    """Best route of exactly L hops for each query; the cheapest of the best."""
    return _best(table, fixed_length=True, cost_weight=0.0)


def oracle_stop(table: OutcomeTable) -> Int[np.ndarray, " Q"]:
    """Best route of 1..L hops for each query; the cheapest of the best."""
    return _best(table, fixed_length=False, cost_weight=0.0)


def oracle_return(table: OutcomeTable, cost_weight: float, allow_stop: bool) -> Int[np.ndarray, " Q"]:
    """Route of best return, quality minus `cost_weight` (per money unit) times cost."""
    return _best(table, fixed_length=not allow_stop, cost_weight=cost_weight)


def co_failure(table: OutcomeTable) -> tuple[int, int]:
    """Queries that no pool member gets right alone in one call, and how many queries there are."""
    alone = table.quality[:, table.tree.stage_slice(1)] >= RIGHT
    return int((~alone.any(axis=1)).sum()), table.num_queries


def route_values(table: OutcomeTable, fixed_length: bool, cost_weight: float) -> Float[np.ndarray, "Q N"]:
    """Return of ending at each node; -inf where an episode cannot end there."""
    values = table.quality - cost_weight * accumulate_cost(table.cost, table.tree)
    possible = table.available.copy()
    possible[:, 0] = False
    if fixed_length:
        possible[:, : table.tree.stage_start(table.tree.horizon)] = False
    return np.where(possible, values, -np.inf)


def _best(table: OutcomeTable, fixed_length: bool, cost_weight: float) -> Int[np.ndarray, " Q"]:
    values = route_values(table, fixed_length, cost_weight)
    best = values.max(axis=1, keepdims=True)
    cost = np.where(values >= best - 1e-9, accumulate_cost(table.cost, table.tree), np.inf)
    return cost.argmin(axis=1)
