"""What routes cost where a prefix cache serves repeated tokens at their own price, and what switching models costs.

With c(n) the cost of the whole route to a node n with caching, and stay(n) the route of as many hops that calls the
first model of n again and again, the switch regret of n is c(n) - c(stay(n)): what its route cost more, on the same
query, than it would have cost had the model not been switched. It speaks of money alone; the answers differ, too.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.evaluation.intervals import mean_interval
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import accumulate_cost, cached_costs
from hierrouter_jax.outcomes.replicates import mean_by_question
from hierrouter_jax.outcomes.table import OutcomeTable


def route_costs(table: OutcomeTable) -> tuple[Float[np.ndarray, "Q N"], Float[np.ndarray, "Q N"]]:
    """Cost of the whole route to each node without caching, and with it."""
    hops = cached_costs(table.cost, table.tokens_cached, table.pool, table.tree)
    return accumulate_cost(table.cost, table.tree), accumulate_cost(hops, table.tree)


def staying(tree: HopTree) -> Int[np.ndarray, " N"]:
    """Of each node, the node of as many hops that calls its first model again and again; the root is its own."""
    routes = (tree.route(node) for node in range(tree.num_nodes))
    return np.array([tree.node([route[0]] * len(route)) if len(route) else 0 for route in routes])


def switch_regret(table: OutcomeTable) -> Float[np.ndarray, "Q N"]:
    """Switch regret of ending at each node, in the money unit; 0 where the table lacks the route that stays."""
    _, cached = route_costs(table)
    stay = staying(table.tree)
    return np.where(table.available[:, stay], cached - cached[:, stay], 0.0)


def caching(table: OutcomeTable, ends: Float[np.ndarray, "Q N"]) -> dict[str, Any]:
    """What a policy's calls cost with caching, as plain data; nothing where no model states a price of cached tokens.

    Args:
      table: table of the queries that it is judged on.
      ends: probability that it ends at each node.
    Returns:
      `caching`: mean `cost` of the calls with and `cost_uncached` without caching, the router's own cost left out, the
      share `tokens_cached` of the tokens read, and `switch_regret` with its interval `switch_regret_ci` over questions.
    """
    if all(member.price_cached_in is None for member in table.pool):
        return {}
    uncached, cached = route_costs(table)
    read, served = (
        accumulate_cost(one.astype(np.float64), table.tree) for one in (table.tokens_in, table.tokens_cached)
    )

    def expected(values: Float[np.ndarray, "Q N"]) -> Float[np.ndarray, " G"]:
        return mean_by_question((ends * values).sum(axis=1, dtype=np.float64), table.question)

    regret, reads = expected(switch_regret(table)), float(expected(read).mean())
    return {
        "caching": {
            "cost": float(expected(cached).mean()),
            "cost_uncached": float(expected(uncached).mean()),
            "tokens_cached": float(expected(served).mean()) / reads if reads else 0.0,
            "switch_regret": float(regret.mean()),
            "switch_regret_ci": list(mean_interval(regret)),
        }
    }
