"""What studies share: opponents, what a policy costs and achieves, and the parts that their result files have alike."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.baselines import oracle
from hierrouter_jax.baselines.problem import Problem
from hierrouter_jax.baselines.registry import ALWAYS, opponents_of
from hierrouter_jax.baselines.sequences import repeated_call
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.intervals import mean_interval, proportion_interval
from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome, ending_at, policy_outcome
from hierrouter_jax.outcomes.coverage import opponents_train
from hierrouter_jax.outcomes.replicates import first_rows, mean_by_question
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.training.features import FittedFeatures
from hierrouter_jax.training.router import TrainedRouter, router_cost


@dataclass(frozen=True)
class Entry:
    """A policy under evaluation: where it ends on every query of the split."""

    name: str
    kind: str
    ends: Float[np.ndarray, "Q N"]
    stops: bool


def opponents(part: OutcomeTable, problem: Problem) -> list[Entry]:
    """The opponents that must always be in the table, chosen on training and tuned on validation, on `part`."""
    return [
        Entry(name, opponent.kind, opponent.fit(problem)(part), opponent.may_stop)
        for name, opponent in opponents_of(part, ALWAYS).items()
    ]


def problem_of(table: OutcomeTable, features: FittedFeatures, weight: float, seed: int = 0) -> Problem:
    """What the opponents of a whole outcome table are fitted on.

    Args:
      table: the whole outcome table, with its training and validation split.
      features: the run's reduction, so that an opponent sees what a router sees.
      weight: quality that a unit of money weighs as much as.
      seed: seed of whatever an opponent draws.
    """
    return Problem(opponents_train(table), table.split("validation"), features.reduction, weight, seed)


def called_once(
    external: OutcomeTable | None, part: OutcomeTable
) -> dict[str, tuple[Float[np.ndarray, "Q N"], PolicyOutcome]]:
    """Of each external model by name: where it ends in its own one-hop tree, and what it achieves on the queries.

    Args:
      external: one-hop table of the models; without one there are none.
      part: the pool's table of the queries that are asked about.

    Raises:
      InputError: if one of the queries, its text, or a model's call on it is not in `external`, or it is priced in
        another money unit.
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
    missing = np.argwhere(~beside.available[:, beside.tree.stage_slice(1)])
    if len(missing):
        row, model = missing[0]
        raise InputError(
            f"the external model {beside.model_names[model]!r} has no answer to query {beside.queries[row].id!r}; "
            "collect it again, or leave the model or the query out"
        )
    ends = [ending_at(repeated_call(beside, model, 1), beside.tree) for model in range(len(beside.model_names))]
    return {name: (its, policy_outcome(beside, its)) for name, its in zip(beside.model_names, ends, strict=True)}


def charged(router: TrainedRouter, outcome: PolicyOutcome, table: OutcomeTable, networks: int = 1) -> PolicyOutcome:
    """The outcome with what deciding costs itself.

    Args:
      networks: number of networks that decide together.
    """
    return replace(outcome, cost=outcome.cost + router_cost(router, outcome, table, networks))


def outcome_by_question(part: OutcomeTable, ends: Float[np.ndarray, "Q N"]) -> PolicyOutcome:
    """What a policy achieves on each question, averaged over its replicates: [G] for [Q] rows."""
    return policy_outcome(part, ends).by_question(part.question)


def duplicate_groups(table: OutcomeTable, similarity: float = 0.8) -> Int[np.ndarray, " Q"]:
    """Of each row, the first that it is one piece of evidence with: of its question, or a near-duplicate's."""
    from hierrouter_jax.outcomes.duplicates import find_duplicates  # slow to load, and only intervals need it

    return find_duplicates([query.text for query in table.queries], similarity).joined(table.question)


def question_clusters(part: OutcomeTable) -> Int[np.ndarray, " G"]:
    """The cluster of each question: those that are near-duplicates of each other are one piece of evidence."""
    return duplicate_groups(part)[first_rows(part)]


def means(outcome: PolicyOutcome, rows: Any = slice(None)) -> dict[str, float]:
    """Mean accuracy and cost, over some of the queries or all."""
    return {"accuracy": float(outcome.quality[rows].mean()), "cost": float(outcome.cost[rows].mean())}


def ratio(value: float, unit: float) -> float | None:
    """A cost in units of another; None where that is 0, as of a pool that costs nothing."""
    return float(value / unit) if unit > 0 else None


def achieved(outcome: PolicyOutcome) -> dict[str, Any]:
    """Mean accuracy with its 95 % interval, and mean cost."""
    mean = means(outcome)
    return {"accuracy": mean["accuracy"], "accuracy_ci": list(mean_interval(outcome.quality)), "cost": mean["cost"]}


def co_failure(part: OutcomeTable) -> dict[str, Any]:
    """Share of the queries that no model of the pool gets right in one call, of those asked, with its interval.

    Of replicates the share is averaged within each question, and its interval is over questions: Clopper-Pearson, or
    where some question's rows differ the bootstrap.
    """
    answered = part if part.answered.all() else part.select(part.answered)
    shares = mean_by_question(oracle.failed_alone(answered).astype(np.float64), answered.question)
    bounds = (
        mean_interval(shares)
        if ((shares > 0) & (shares < 1)).any()
        else proportion_interval(int(shares.sum()), len(shares))
    )
    return {"value": float(shares.mean()), "ci": list(bounds)}


def task_rows(part: OutcomeTable) -> list[tuple[str, Int[np.ndarray, " q"]]]:
    """The tasks that the queries are of, each with its queries' rows."""
    rows = ((task, np.flatnonzero(part.task == index)) for index, task in enumerate(part.task_names))
    return [(task, its) for task, its in rows if len(its)]


def route_shares(ends: Int[np.ndarray, "*B"], part: OutcomeTable) -> list[dict[str, Any]]:
    """The routes that end at some nodes and the share of each, the most taken first."""
    nodes, times = np.unique(ends, return_counts=True)
    return [
        {
            "route": [part.model_names[model] for model in part.tree.route(int(node))],
            "stopped": bool(part.tree.stages[node] < part.tree.horizon),
            "share": float(count / ends.size),
        }
        for node, count in sorted(zip(nodes, times, strict=True), key=lambda pair: -pair[1])
    ]
