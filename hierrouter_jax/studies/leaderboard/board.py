"""A table's board: a row a participant, every number with its interval, and ours against every opponent."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.evaluation.paired import Repeats
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.compare.outcomes import reference
from hierrouter_jax.studies.leaderboard import rows
from hierrouter_jax.studies.leaderboard.config import OURS
from hierrouter_jax.studies.leaderboard.result import MEASURES, Judged, compared, headline
from hierrouter_jax.studies.leaderboard.splits import Split, at_first_rows, clusters, questions_tested
from hierrouter_jax.studies.measures import co_failure

Values = dict[str, Float[np.ndarray, "W S Q"]]


@dataclass(frozen=True)
class Participants:
    """Everybody's results, one a split."""

    opponents: dict[str, list[Judged]]
    learners: dict[str, list[Judged]]


def board(
    table: OutcomeTable,
    splits: list[Split],
    group: Int[np.ndarray, " Q"],
    participants: Participants,
    cost_weights: tuple[float, ...],
    resamples: int,
) -> dict[str, Any]:
    """One table's part of `leaderboard.json`, rows sorted by accuracy at the first cost weight.

    Args:
      group: queries of one group are duplicates, one piece of evidence.
    """
    some = table.select(np.unique(np.concatenate([split.test for split in splits])))
    repeats = Repeats(questions_tested(splits, table.question), clusters(group), resamples)
    normaliser = np.array([_normaliser(table, split) for split in splits])
    ours, chosen = choose(participants.learners, len(cost_weights))
    everybody = participants.opponents | participants.learners
    values = {name: _dense(its, splits, table, len(cost_weights)) for name, its in everybody.items()}
    values[OURS] = _picked(values, chosen)
    context = rows.Context(table, splits, repeats, cost_weights, normaliser, reference(some))
    context = context.with_references(values)
    about = {name: its[0].about for name, its in everybody.items()}
    policies = [rows.row(name, values[name], about[name], context) for name in everybody]
    learners = [about[name] for name in participants.learners]
    own = {"kind": "learned", "may_stop": any(one["may_stop"] for one in learners)}
    own |= {"tried": sum(one["tried"] for one in learners)}
    policies.append(rows.row(OURS, values[OURS], own, context) | {"chosen": ours})
    for row in policies:
        if row["name"] in participants.learners:
            row["runs"] = [one.about.get("chosen") for one in participants.learners[row["name"]]]
    rivals = {name: row for name, row in participants.opponents.items() if about[name]["kind"] != "oracle"}
    comparisons = compared(values, list(rivals), context)
    against_ours = {row["opponent"]: row for row in comparisons if row["metric"] == "accuracy"}
    for row in policies:
        row["ours_against"] = against_ours.get(row["name"])
    policies.sort(key=lambda row: (row["kind"] == "oracle", -row["accuracy"], row["cost"], row["name"]))
    return {
        "table": {
            "fingerprint": table.fingerprint,
            "queries": table.num_queries,
            "tested": int(some.answered.sum()),
            "horizon": table.tree.horizon,
            "pool": [asdict(member) for member in table.pool],
            "tasks": list(table.task_names),
            "encoder": table.encoder,
        },
        "money_unit": table.money_unit,
        "cost_normaliser": float(normaliser.mean()),
        "cost_weights": list(cost_weights),
        "reference": context.bounds,
        "co_failure": co_failure(some),
        "policies": policies,
        "comparisons": comparisons,
        "headline": headline(policies, comparisons),
    }


def choose(learners: dict[str, list[Judged]], weights: int) -> tuple[dict[str, int], list[list[str]]]:
    """Who is ours in each split and at each cost weight [W][S]: by validation, the first named of those near the best.

    Near is within one standard error of the paired difference to the best mean return, the rule of Breiman et al.
    (Classification and Regression Trees, 1984, 3.4.3): what a few hundred queries cannot tell apart is not chosen by
    its luck. So a configuration names first what it trusts most.

    Returns also in how many splits each was, at the first cost weight.
    """
    names = list(learners)
    splits = range(len(next(iter(learners.values()))))
    picked = [
        [names[_first_near_best([_returns(learners[name][s], w) for name in names])] for s in splits]
        for w in range(weights)
    ]
    return dict(Counter(picked[0]).most_common()), picked


def _first_near_best(returns: list[Float[np.ndarray, " V"]]) -> int:
    values = np.stack(returns)
    behind = values[values.mean(axis=1).argmax()] - values
    error = behind.std(axis=1, ddof=1) / np.sqrt(values.shape[1]) if values.shape[1] > 1 else np.zeros(len(values))
    return int((behind.mean(axis=1) <= error).argmax())


def _returns(result: Judged, weight: int) -> Float[np.ndarray, " V"]:
    if result.validation is None:
        raise ValueError("only learners are chosen by their validation returns")
    return result.validation[weight]


def _picked(values: dict[str, Values], chosen: list[list[str]]) -> Values:
    return {
        measure: np.stack([np.stack([values[name][measure][w, s] for s, name in enumerate(row)])
                           for w, row in enumerate(chosen)])
        for measure in MEASURES
    }  # fmt: skip


def _dense(results: list[Judged], splits: list[Split], table: OutcomeTable, weights: int) -> Values:
    """Every measure at every cost weight, split and query; 0 where the split does not test the query.

    Replicates of a question are averaged, at the first of the rows that the split tests.
    """
    values = {measure: np.zeros((weights, len(splits), table.num_queries)) for measure in MEASURES}
    for s, (one, split) in enumerate(zip(results, splits, strict=True)):
        for w in range(weights):
            for measure, of_test in one.at(w).items():
                first, means = at_first_rows(of_test, split.test, table.question)
                values[measure][w, s, first] = means
    return values


def _normaliser(table: OutcomeTable, split: Split) -> float:
    """Mean cost of one call on the split's training queries, as features are fitted."""
    calls = table.available[split.train, 1:]
    return float(table.cost[split.train, 1:][calls].mean()) or 1.0
