"""What a comparison's arms are held against: bounds of the cost axis, opponents that do not learn, oracles."""

from typing import Any

import numpy as np

from hierrouter_jax.envs.types import accumulate_cost
from hierrouter_jax.evaluation.outcome import policy_outcome
from hierrouter_jax.evaluation.statistics import mean_interval
from hierrouter_jax.experiments.evaluate import opponents, problem_of
from hierrouter_jax.experiments.features import FittedFeatures
from hierrouter_jax.outcomes.table import OutcomeTable

_WEIGHTLESS = ("random", "oracle")  # kinds that no cost weight changes


def reference(part: OutcomeTable) -> dict[str, Any]:
    """Bounds that depend on the table alone, so that a front's number does not change with the arms beside it.

    `cost`, the hypervolume's reference, is the mean cost of every query's dearest route, which no policy passes;
    AIQ is taken from the mean cost of every query's cheapest single call up to it.
    """
    spent = accumulate_cost(part.cost.astype(np.float64), part.tree)
    dearest = np.where(part.available, spent, -np.inf).max(axis=1).mean()
    first = part.tree.stage_slice(1)
    cheapest = np.where(part.available[:, first], spent[:, first], np.inf).min(axis=1).mean()
    return {"cost": float(dearest), "accuracy": 0.0, "cost_range": [float(cheapest), float(dearest)]}


def opponent_rows(
    table: OutcomeTable, part: OutcomeTable, features: FittedFeatures, cost_weights: tuple[float, ...]
) -> list[dict[str, Any]]:
    """The opponents of every evaluation at each cost weight; `cost_weight` is null for those that none changes.

    Args:
      part: the judged split.
    """
    problem, rows = problem_of(table, features, 0.0), []
    for position, cost_weight in enumerate(cost_weights):
        for entry in opponents(part, problem.at(cost_weight / features.cost_normaliser)):
            fixed = entry.kind in _WEIGHTLESS or entry.name.removesuffix(f" x{part.tree.horizon}") in part.model_names
            if fixed and position:
                continue
            outcome = policy_outcome(part, entry.ends)
            rows.append(
                {
                    "name": entry.name,
                    "kind": entry.kind,
                    "may_stop": entry.stops,
                    "cost_weight": None if fixed else float(cost_weight),
                    "accuracy": float(outcome.quality.mean()),
                    "accuracy_ci": list(mean_interval(outcome.quality)),
                    "cost": float(outcome.cost.mean()),
                    "return": None if fixed else float(outcome.returns(cost_weight, features.cost_normaliser).mean()),
                }
            )
    return rows
