"""What every run of an arm does on every query of the judged split, and how it came there."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome, flips
from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.outcomes.replicates import mean_by_question
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.compare.config import CompareConfig
from hierrouter_jax.studies.compare.log_arms import LogPolicies
from hierrouter_jax.studies.compare.runs import ArmRuns
from hierrouter_jax.studies.measures import achieved, charged, opponents, outcome_by_question, problem_of
from hierrouter_jax.training.features import FittedFeatures


@dataclass(frozen=True)
class ArmOutcomes:
    """An arm at W cost weights with S seeds on Q queries of G questions, each policy greedy.

    Attributes:
      runs: the arm's trained runs.
      cost_weights: quality that the normalised cost of one call weighs as much as [W].
      cost_normaliser: mean cost of one call on the training split, in the table's money unit.
      outcome: `PolicyOutcome` with arrays [W, S, G], means over replicates; `cost` includes what deciding costs.
      ends: index of the node that each query is answered at [W, S, Q].
      stop_rate: share of the answers that come before the horizon [W, S].
      validation: validation accuracy minus cost weight times normalised cost of the policy that a run kept [W, S].
      accuracy_curve, return_curve: accuracy and return on validation after each block of updates [W, S, B]; the
        return is that of `validation`.
    """

    runs: ArmRuns
    cost_weights: Float[np.ndarray, " W"]
    cost_normaliser: float
    outcome: PolicyOutcome
    ends: Int[np.ndarray, "W S Q"]
    stop_rate: Float[np.ndarray, "W S"]
    validation: Float[np.ndarray, "W S"]
    accuracy_curve: Float[np.ndarray, "W S B"]
    return_curve: Float[np.ndarray, "W S B"]

    @property
    def name(self) -> str:
        return self.runs.arm.name

    @cached_property
    def returns(self) -> Float[np.ndarray, "W S G"]:
        """Quality minus cost weight times normalised cost: every arm is judged by this alone."""
        weights = self.cost_weights[:, None, None]
        return self.outcome.quality - weights * self.outcome.cost / self.cost_normaliser

    @property
    def chosen_seeds(self) -> Int[np.ndarray, " W"]:
        """The seed with the best validation return at each cost weight; the first, where nothing but a log is known."""
        from_log = self.runs.arm.log is not None
        return np.zeros(len(self.validation), int) if from_log else self.validation.argmax(axis=1)


def arm_outcomes(runs: ArmRuns, part: OutcomeTable, features: FittedFeatures, config: CompareConfig) -> ArmOutcomes:
    """Look up in the table what each run's greedy policy does.

    Args:
      part: the evaluated split of the outcome table; queries of which it holds no hop are left out.
    """
    members = [[runs.result.curves(int(member)) for member in row] for row in runs.members]
    curves = {name: np.array([[one[name] for one in row] for row in members]) for name in members[0][0]}
    ends, part = curves["ends"][..., part.answered], part.select(part.answered)
    rows = np.arange(part.num_queries)
    repaired, damaged = flips(part.quality, part.tree)

    def at(values: np.ndarray) -> Float[np.ndarray, "W S Q"]:
        return values[rows, ends].astype(np.float64)

    hops = part.tree.stages[ends].astype(np.float64)
    spent = at(accumulate_cost(part.cost.astype(np.float64), part.tree))
    first, result = int(runs.members[0, 0]), runs.result
    reached = PolicyOutcome(at(part.quality), spent, hops, at(repaired), at(damaged)).by_question(part.question)
    if isinstance(result, LogPolicies):
        outcome = replace(reached, cost=result.charged(first, reached, part))
    else:
        outcome = charged(result.router(first), reached, part)
    weights = np.array(config.cost_weights)
    frame = runs.result.frame.set_index("member").loc[runs.members.ravel()]
    best = [frame[name].to_numpy(float).reshape(runs.members.shape) for name in ("best_accuracy", "best_cost")]
    validation = best[0] - weights[:, None] * best[1] / features.cost_normaliser
    accuracy = curves["validation_accuracy"].astype(np.float64)
    return ArmOutcomes(
        runs=runs,
        cost_weights=weights,
        cost_normaliser=features.cost_normaliser,
        outcome=outcome,
        ends=ends,
        stop_rate=(hops < part.tree.horizon).mean(axis=-1),
        validation=np.where(np.isfinite(validation), validation, -np.inf),
        accuracy_curve=accuracy,
        return_curve=accuracy - weights[:, None, None] * curves["validation_cost"],
    )


_WEIGHTLESS = ("random", "oracle")  # kinds that no cost weight changes


def reference(part: OutcomeTable) -> dict[str, Any]:
    """Bounds that depend on the table alone, so that a front's number does not change with the arms beside it.

    `cost`, the hypervolume's reference, is the mean cost of every query's dearest route, which no policy passes;
    AIQ is taken from the mean cost of every query's cheapest single call up to it.
    """
    spent = accumulate_cost(part.cost.astype(np.float64), part.tree)
    dearest = np.where(part.available, spent, -np.inf).max(axis=1)
    first = part.tree.stage_slice(1)
    cheapest = np.where(part.available[:, first], spent[:, first], np.inf).min(axis=1)
    low, high = mean_by_question(np.stack([cheapest, dearest]), part.question).mean(axis=1).tolist()
    return {"cost": high, "accuracy": 0.0, "cost_range": [low, high]}


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
            outcome = outcome_by_question(part, entry.ends)
            rows.append(
                {
                    "name": entry.name,
                    "kind": entry.kind,
                    "may_stop": entry.stops,
                    "cost_weight": None if fixed else float(cost_weight),
                    **achieved(outcome),
                    "return": None if fixed else float(outcome.returns(cost_weight, features.cost_normaliser).mean()),
                }
            )
    return rows
