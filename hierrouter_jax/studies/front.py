"""The cost-quality front of one conditioned router: the same policy under a grid of cost weights and budgets."""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from hierrouter_jax.baselines.sequences import repeated_call
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome, ending_at, policy_outcome
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.training.checks import check_charges, smallest_budgets
from hierrouter_jax.training.router import Told, TrainedRouter, router_cost

COST_WEIGHTS, BUDGETS = 8, 6  # points over each range


def front(router: TrainedRouter, table: OutcomeTable) -> dict[str, Any]:
    """`front`: what the chosen seed reaches at each point of the grid; nothing for a router without conditions.

    As in the router's own row, `cost` includes what deciding costs; a budget is of the calls alone. `return` is at
    the point's cost weight, that of the run where the router is not told one.
    """
    if not router.static.conditions:
        return {}
    grid, points = told_grid(router, table), []
    ends = router.end_probabilities(table, router.chosen_seed, grid)
    for (cost_weight, budget), its_ends in zip(grid, ends, strict=True):
        outcome = policy_outcome(table, its_ends)
        outcome = replace(outcome, cost=outcome.cost + router_cost(router, outcome, table))
        weight = router.hyper.reward.hop_cost if cost_weight is None else cost_weight
        points.append(
            {
                "cost_weight": float(weight),
                "budget": budget,
                "accuracy": float(outcome.quality.mean()),
                "cost": float(outcome.cost.mean()),
                "return": float(outcome.returns(weight, router.features.cost_normaliser).mean()),
            }
        )
    return {"front": points}


def told_grid(router: TrainedRouter, table: OutcomeTable) -> list[Told]:
    """Every cost weight with every budget, both log-spaced over the ranges that training drew from.

    Budgets start at the smallest that leaves no query of the table without an answer.
    """
    weights: list[float | None] = [None]
    budgets: list[float | None] = [None]
    if router.static.cost_conditioned:
        bounds = router.hyper.ranges.cost_weight
        weights = np.geomspace(bounds.low, bounds.high, COST_WEIGHTS).tolist()
    if router.static.budgeted:
        check_charges(table, router.static)
        bounds, call = router.hyper.ranges.budget, router.features.cost_normaliser
        low = max(bounds.low * call, smallest_budgets(table).max())
        high = max(low, bounds.high * call)
        budgets = np.clip(np.geomspace(low, high, BUDGETS), low, high).tolist()
    return [(weight, budget) for budget in dict.fromkeys(budgets) for weight in weights]


def called_once(
    external: OutcomeTable | None, part: OutcomeTable
) -> dict[str, tuple[Float[np.ndarray, "Q N"], PolicyOutcome]]:
    """Of each external model by name: where it ends in its own one-hop tree, and what it achieves on the queries.

    Args:
      external: one-hop table of the models; without one there are none.
      part: the pool's table of the queries that are asked about.

    Raises:
      InputError: if one of the queries, or its text, is not in `external`, or it is priced in another money unit.
    """
    if external is None:
        return {}
    if external.money_unit != part.money_unit:
        raise InputError(
            f"the external models' money unit is {external.money_unit!r}, but the pool's is {part.money_unit!r}"
        )
    row_of = {(query.id, query.text): row for row, query in enumerate(external.queries)}
    lacking = next((query.id for query in part.queries if (query.id, query.text) not in row_of), None)
    if lacking is not None:
        raise InputError(f"the external models have no answer to query {lacking!r}; collect both with the same queries")
    beside = external.select(np.array([row_of[query.id, query.text] for query in part.queries]))
    found = {}
    for model, name in enumerate(beside.model_names):
        ends = ending_at(repeated_call(beside, model, 1), beside.tree)
        found[name] = ends, policy_outcome(beside, ends)
    return found
