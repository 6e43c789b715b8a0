"""Exact evaluation of routers beside their opponents and ceilings: what `evaluation.json` holds."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from hierrouter_jax.baselines import oracle
from hierrouter_jax.envs.types import single_precision
from hierrouter_jax.evaluation.intervals import interquartile_mean_interval, mean_interval
from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome, ending_at, policy_outcome
from hierrouter_jax.outcomes.coverage import evaluated_queries, opponents_train
from hierrouter_jax.outcomes.duplicates import near_copies
from hierrouter_jax.outcomes.notes import (
    ENCODER_UNKNOWN,
    near_copy_note,
    replicates_note,
    table_notes,
    unanswered_note,
)
from hierrouter_jax.outcomes.replicates import first_rows, replicates_report, variance_within
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.caching import caching
from hierrouter_jax.studies.choice import Candidate, bundle_ends, choice_record, choose
from hierrouter_jax.studies.comparisons import comparisons
from hierrouter_jax.studies.measures import (
    Entry,
    achieved,
    called_once,
    charged,
    co_failure,
    means,
    opponents,
    outcome_by_question,
    problem_of,
    route_shares,
    task_rows,
)
from hierrouter_jax.studies.second_hop import second_hops
from hierrouter_jax.training.checks import check_charges, smallest_budgets
from hierrouter_jax.training.features import FittedFeatures
from hierrouter_jax.training.router import (
    ConditionValues,
    TrainedRouter,
    deciding_cost,
    encoder_multiply_adds,
    router_cost,
)

CHOSEN = "chosen"  # name and kind of the row of the policy that is exported
COST_WEIGHTS, BUDGETS = 8, 6  # points of a conditioned router's front over each range


@single_precision
def evaluate(
    table: OutcomeTable,
    routers: dict[str, TrainedRouter],
    features: FittedFeatures,
    cost_weight: float,
    split: str,
    external: OutcomeTable | None = None,
    rivals: list[Candidate] | None = None,
) -> dict[str, Any]:
    """Everything about a split as plain data, in the form that docs/files.md gives for `evaluation.json`.

    Args:
      table: the whole outcome table; opponents choose on its training and tune on its validation split.
      routers: the trained ones, each evaluated greedily at its chosen seed.
      features: what the run fitted on the training split.
      cost_weight: lambda, per normalised cost.
      split: name of the split to evaluate on.
      external: one-hop table of models outside the pool on the same queries; each becomes a row of kind `external`.
      rivals: policies that the run may export; the chosen one becomes the row `chosen`.
    Raises:
      InputError: if the split has no query, or `external` lacks one of its queries or is in another money unit.
    """
    part = evaluated_queries(table, split)
    questions = part.select(first_rows(part))  # a row for each question, whatever its replicates
    left_out = table.split(split).num_queries - part.num_queries
    copies = near_copies(table.queries, split, progress=True)[split]
    weight = cost_weight / features.cost_normaliser
    entries = [
        *(Entry(name, "learned", r.end_probability(part, r.chosen_seed), r.may_stop) for name, r in routers.items()),
        *opponents(part, problem_of(table, features, weight)),
    ]
    outcomes = {entry.name: policy_outcome(part, entry.ends) for entry in entries}
    for name, (ends, outcome) in called_once(external, part).items():
        entries.append(Entry(name, "external", ends, True))
        outcomes[name] = outcome
    outcomes |= {name: charged(router, outcomes[name], table) for name, router in routers.items()}
    router_costs = {name: router_cost(router, outcomes[name], table) for name, router in routers.items()}
    chosen = choose(rivals) if rivals else None
    if chosen:
        ends = bundle_ends(chosen.bundle, part)
        entries.append(Entry(CHOSEN, CHOSEN, ends, chosen.may_stop))
        called = policy_outcome(part, ends)
        router_costs[CHOSEN] = deciding_cost(chosen.bundle.multiply_adds, chosen.may_stop, called, part)
        outcomes[CHOSEN] = replace(called, cost=called.cost + router_costs[CHOSEN])
    by_seed = {name: _by_seed(router, part) for name, router in routers.items()}
    varied = replicates_report(part)
    within = {name: float(variance_within(o.quality, part.question)) for name, o in outcomes.items() if varied}
    outcomes = {name: outcome.by_question(part.question) for name, outcome in outcomes.items()}
    rows = [
        _row(entry, outcomes, questions, cost_weight, features.cost_normaliser)
        | ({"variance_within": within[entry.name]} if varied else {})
        | ({} if entry.kind == "external" else caching(part, entry.ends))
        | (
            _seed_rows(routers[entry.name], by_seed[entry.name], cost_weight) | front(routers[entry.name], part)
            if entry.name in routers
            else {}
        )
        | ({"router_cost": float(router_costs[entry.name].mean())} if entry.name in router_costs else {})
        for entry in entries
    ]
    return {
        "table": {
            "fingerprint": table.fingerprint,
            "split": split,
            "queries": questions.num_queries,
            "replicates": varied,
            "horizon": table.tree.horizon,
            "pool": [asdict(member) for member in table.pool],
            "left_out": left_out,
            "near_copies": copies,
            "notes": [
                *table_notes(table.settings),
                *([unanswered_note(left_out)] if left_out else []),
                *([replicates_note(varied)] if varied else []),
                near_copy_note(copies, split),
                *([] if encoder_multiply_adds(table) else [ENCODER_UNKNOWN]),
            ],
        },
        "money_unit": table.money_unit,
        "cost_weight": cost_weight,
        "cost_normaliser": features.cost_normaliser,
        "task_names": list(table.task_names),
        "ceiling": _ceiling(part, outcomes, weight, cost_weight, features.cost_normaliser),
        "policies": sorted(rows, key=lambda row: -row["accuracy"]),
        "comparisons": comparisons(routers, outcomes, by_seed, questions),
        "second_hop": second_hops(opponents_train(table), part, external),
        "chosen": choice_record(chosen, rivals) if chosen and rivals else None,
        "live": None,
    }


@single_precision
def behaviour(table: OutcomeTable, routers: dict[str, TrainedRouter], split: str) -> dict[str, Any]:
    """Which routes each router takes on each task: shares of the split's queries that add up to 1."""
    part = evaluated_queries(table, split)
    policies = {}
    for name, router in routers.items():
        nodes = router.end_probability(part, router.chosen_seed).argmax(axis=1)
        policies[name] = {"routes": {task: route_shares(nodes[rows], part) for task, rows in task_rows(part)}}
    return {"policies": policies}


def _row(
    entry: Entry, outcomes: dict[str, PolicyOutcome], part: OutcomeTable, cost_weight: float, normaliser: float
) -> dict[str, Any]:
    outcome = outcomes[entry.name]
    unseen = np.array([query.unseen for query in part.queries])
    own_oracle = outcomes["oracle_stop" if entry.stops else "oracle_fixed"].quality.mean()
    single = outcomes["best-single"].quality.mean()
    gap = own_oracle - single
    return {
        "name": entry.name,
        "kind": entry.kind,
        **achieved(outcome),
        "cost_ci": list(mean_interval(outcome.cost)),
        "hops": float(outcome.hops.mean()),
        "return": float(outcome.returns(cost_weight, normaliser).mean()),
        "oracle_gap_recovered": float((outcome.quality.mean() - single) / gap) if gap > 0 else None,
        "repaired": float(outcome.repaired.mean()),
        "damaged": float(outcome.damaged.mean()),
        "per_task": {task: {**means(outcome, rows), "queries": len(rows)} for task, rows in task_rows(part)},
        "seen_templates": _part_accuracy(outcome, ~unseen),
        "unseen_templates": _part_accuracy(outcome, unseen),
    }


def _part_accuracy(outcome: PolicyOutcome, rows: np.ndarray) -> dict[str, Any]:
    return {"accuracy": float(outcome.quality[rows].mean()) if rows.any() else None, "queries": int(rows.sum())}


def _by_seed(router: TrainedRouter, part: OutcomeTable) -> list[PolicyOutcome]:
    """What every seed's greedy policy does on the split, with what deciding costs."""
    ends = (router.end_probability(part, seed) for seed in range(len(router.state.best_return)))
    return [charged(router, outcome_by_question(part, its_ends), part) for its_ends in ends]


def _seed_rows(router: TrainedRouter, outcomes: list[PolicyOutcome], cost_weight: float) -> dict[str, Any]:
    """Every seed on the split, beside the one that validation chose; the mean is over those that did not diverge."""
    accuracy = np.array([outcome.quality.mean() for outcome in outcomes])
    returns = [outcome.returns(cost_weight, router.features.cost_normaliser).mean() for outcome in outcomes]
    centre, low, high = interquartile_mean_interval(accuracy[~router.diverged])
    return {
        "seeds": {
            "accuracy": accuracy.tolist(),
            "return": [float(value) for value in returns],
            "validation_return": [float(v) if np.isfinite(v) else None for v in np.asarray(router.state.best_return)],
            "diverged": np.flatnonzero(router.diverged).tolist(),
            "chosen_seed": router.chosen_seed,
            "accuracy_iqm": centre,
            "accuracy_iqm_ci": [low, high],
        }
    }


def _ceiling(
    part: OutcomeTable, outcomes: dict[str, PolicyOutcome], weight: float, cost_weight: float, normaliser: float
) -> dict[str, Any]:
    best = outcome_by_question(part, ending_at(oracle.oracle_return(part, weight, allow_stop=True), part.tree))
    return {
        **{name: means(outcomes[name]) for name in ("oracle_fixed", "oracle_stop")},
        "oracle_return": {"return": float(best.returns(cost_weight, normaliser).mean()), **means(best)},
        "co_failure": co_failure(part),
        **_lucky(part),
    }


def _lucky(part: OutcomeTable) -> dict[str, Any]:
    """What oracles seem to reach that are chosen and scored on the same row; nothing where there are no replicates."""
    if len(np.unique(part.question)) == part.num_queries:
        return {}
    ends = {name: oracle.lucky_best(part, name == "oracle_fixed") for name in ("oracle_fixed", "oracle_stop")}
    scored = {name: means(outcome_by_question(part, ending_at(its, part.tree))) for name, its in ends.items()}
    return {"same_replicate": scored}


def front(router: TrainedRouter, table: OutcomeTable) -> dict[str, Any]:
    """`front`: what the chosen seed reaches at each point of the grid; nothing for a router without conditions.

    As in the router's own row, `cost` includes what deciding costs; a budget is of the calls alone. `return` is at
    the point's cost weight, that of the run where the router is not conditioned on one.
    """
    if not router.static.conditions:
        return {}
    grid, points = condition_grid(router, table), []
    ends = router.end_probabilities(table, router.chosen_seed, grid)
    for (cost_weight, budget), its_ends in zip(grid, ends, strict=True):
        outcome = charged(router, outcome_by_question(table, its_ends), table)
        weight = router.hyper.reward.hop_cost if cost_weight is None else cost_weight
        points.append(
            {
                "cost_weight": float(weight),
                "budget": budget,
                **means(outcome),
                "return": float(outcome.returns(weight, router.features.cost_normaliser).mean()),
            }
        )
    return {"front": points}


def condition_grid(router: TrainedRouter, table: OutcomeTable) -> list[ConditionValues]:
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
