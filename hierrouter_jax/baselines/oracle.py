"""Ceilings: the best that any policy with a given action set could have done, and what no single call can pass.

All are over what the table holds. A hop that was not run is no wrong answer: routes end before it, and a query of which
nothing was run has no ceiling (`outcomes.coverage.evaluated_queries` leaves such queries out).

Where a question has replicates, the route of each row is chosen on the question's other rows: the best of many routes
on one draw of the answers is partly luck. What is left is the best fixed route of a question; a router that reads the
answers may pass it.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.outcomes.replicates import of_other_rows
from hierrouter_jax.outcomes.table import RIGHT, OutcomeTable
from hierrouter_jax.outcomes.ties import first_best, route_order


def oracle_fixed(table: OutcomeTable) -> Int[np.ndarray, " Q"]:
    """Best route of exactly L hops for each query, or as many as the table holds; the cheapest of the best."""
    return _best(table, fixed_length=True, cost_weight=0.0)


def oracle_stop(table: OutcomeTable) -> Int[np.ndarray, " Q"]:
    """Best route of 1..L hops for each query; the cheapest of the best."""
    return _best(table, fixed_length=False, cost_weight=0.0)


def oracle_return(table: OutcomeTable, cost_weight: float, allow_stop: bool) -> Int[np.ndarray, " Q"]:
    """Route of best return, quality minus `cost_weight` (per money unit) times cost."""
    return _best(table, fixed_length=not allow_stop, cost_weight=cost_weight)


def failed_alone(table: OutcomeTable) -> Bool[np.ndarray, " Q"]:
    """Whether a query was asked, and no pool member gets it right alone in one call.

    A model that was not asked a query may have been right: with missing calls their number is an upper bound.
    """
    first = table.tree.stage_slice(1)
    alone = (table.quality[:, first] >= RIGHT) & table.available[:, first]
    return np.asarray(table.answered & ~alone.any(axis=1))


def endings(table: OutcomeTable, fixed_length: bool) -> Bool[np.ndarray, "Q N"]:
    """Where an episode can end: after any hop, or without STOP, where the table holds no further one."""
    tree, ends = table.tree, table.available.copy()
    ends[:, 0] = False
    if fixed_length:
        children = tree.child(np.arange(tree.num_decision_nodes)[:, None], np.arange(tree.num_models))
        ends[:, : tree.num_decision_nodes] &= ~table.available[:, children].any(axis=2)
    return ends


def route_values(table: OutcomeTable, fixed_length: bool, cost_weight: float) -> Float[np.ndarray, "Q N"]:
    """Return of ending at each node; -inf where a route of 1..L, or of exactly L, hops cannot end there."""
    values = table.quality - cost_weight * accumulate_cost(table.cost, table.tree)
    possible = table.available.copy()
    possible[:, 0] = False
    if fixed_length:
        possible[:, : table.tree.stage_start(table.tree.horizon)] = False
    return np.where(possible, values, -np.inf)


def lucky_best(table: OutcomeTable, fixed_length: bool) -> Int[np.ndarray, " Q"]:
    """Best route of each row on that very row: with replicates, what an oracle would seem to reach by luck too."""
    ends, spent = endings(table, fixed_length), accumulate_cost(table.cost, table.tree)
    return _cheapest_best(table, np.where(ends, table.quality, -np.inf), spent)


def _best(table: OutcomeTable, fixed_length: bool, cost_weight: float) -> Int[np.ndarray, " Q"]:
    """The root where the table holds nothing of a query; the cheapest end where no replicate tells of any."""
    ends, spent = endings(table, fixed_length), accumulate_cost(table.cost, table.tree)
    values = np.where(ends, table.quality - cost_weight * spent, -np.inf)
    if np.bincount(table.question).max(initial=0) < 2:
        return _cheapest_best(table, values, spent)
    others = np.where(ends, of_other_rows(values, table.question), -np.inf)
    price = of_other_rows(np.where(ends, spent, -np.inf), table.question)
    unknown = ~np.isfinite(others).any(axis=1, keepdims=True)
    return _cheapest_best(table, np.where(unknown & ends, 0.0, others), np.where(unknown, spent, price))


def _cheapest_best(
    table: OutcomeTable, values: Float[np.ndarray, "Q N"], spent: Float[np.ndarray, "Q N"]
) -> Int[np.ndarray, " Q"]:
    """Of equally good and equally cheap ends that which is right on most queries."""
    best = values.max(axis=1, keepdims=True)
    cheapness = np.where(values >= best - 1e-9, -spent / (spent.max(initial=0.0) or 1.0), -np.inf)
    return np.where(np.isfinite(best[:, 0]), first_best(cheapness, route_order(table)), 0)
