"""What routers do with what they were not trained on: a benchmark left out of training, a model added to the pool."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool
from tqdm import tqdm

from hierrouter_jax.baselines.problem import Policy
from hierrouter_jax.baselines.registry import ALWAYS, opponents_of
from hierrouter_jax.envs.types import single_precision
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.evaluation.paired import paired_difference
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.coverage import evaluated_queries, without_partial_trees
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.measures import achieved, outcome_by_question, problem_of, question_clusters
from hierrouter_jax.studies.pool_agnostic import NAME, pool_agnostic
from hierrouter_jax.training.features import fit_features
from hierrouter_jax.training.router import DIVERGED
from hierrouter_jax.training.settings import TrainConfig
from hierrouter_jax.training.train import train_routers

_USUAL = (*(name for name in ALWAYS if name.startswith(("best", "task"))), "knn", "linear")
Contender = Callable[[OutcomeTable], Policy]  # fits on a table's training split, tunes on its validation split


def opponent(name: str, cost_weight: float, features: int = 96, seed: int = 0) -> Contender:
    """An opponent of the registry, with the reduction of features that a run would fit on the same training split.

    Args:
      cost_weight: lambda, per normalised cost.
      features: principal components that it sees.
    """

    def fit(table: OutcomeTable) -> Policy:
        known = opponents_of(table)
        if name not in known:
            raise InputError(f"opponent {name!r} is none of this table's; {nearest(name, known)}")
        fitted = fit_features(table.split("train"), features)
        weight = cost_weight / fitted.cost_normaliser
        return known[name].fit(problem_of(table, fitted, weight, seed))

    return fit


def learner(name: str, config: TrainConfig) -> Contender:
    """A learner, at the seed that validation chooses."""

    def fit(table: OutcomeTable) -> Policy:
        router = train_routers(table, replace(config, learners=(name,)), progress=False)[0][name]
        if router.diverged.all():
            raise InputError(f"{name}: {DIVERGED}")
        return lambda part: router.end_probability(part, router.chosen_seed)

    return fit


@single_precision
def transfer(
    table: OutcomeTable,
    train: TrainConfig,
    opponents: tuple[str, ...] | None = None,
    model: str | None = None,
    known: tuple[int, ...] = (),
    progress: bool = True,
) -> dict[str, Any]:
    """Learners and opponents without each task, and with a model that was added to the pool, as plain data.

    Where a model is added, a policy takes part that knows models by their descriptions alone (`pool_agnostic`).

    Args:
      train: learners, and the cost weight, features and seed of everybody.
      opponents: names; by default those of every evaluation that learn or choose, and predict by neighbours and ridge.
      model: name of the model of the pool that is taken to have been added; None: no model is.
      known: numbers of training queries that the model's outcomes are known of.

    Raises:
      InputError: if a name or a number is wrong, or the table has fewer than two tasks to train on or none to test.
    """
    cost_weight = float(train.hyper.reward.hop_cost)
    known_opponents = opponents_of(table)
    names = opponents if opponents is not None else tuple(name for name in _USUAL if name in known_opponents)
    for name in names:
        if name not in known_opponents:
            raise InputError(f"opponents: {name!r} is none of this table's; {nearest(name, known_opponents)}")
    contenders = {name: learner(name, train) for name in train.learners}
    contenders |= {name: opponent(name, cost_weight, train.features, train.seed) for name in names}
    if model is not None:
        contenders[NAME] = pool_agnostic(cost_weight, train.features, train.seed)
    tasks = tested_tasks(table)
    if model is not None:
        for number in known:  # bad numbers are refused before anything is fitted
            with_new_model(without_partial_trees(table), model, number, train.seed)
    fits = len(contenders) * (1 + len(tasks) + (len(known) if model else 0))
    with tqdm(total=fits, desc="transfer", unit="fit", disable=not progress) as bar:
        counted = {name: _counted(fit, name, bar) for name, fit in contenders.items()}
        left_out = leave_one_task_out(table, counted)
        added = [] if model is None else add_model(table, model, known, counted, train.seed)
    return {
        "table": {"fingerprint": table.fingerprint, "pool": [member.name for member in table.pool], "tasks": tasks},
        "untested_tasks": [name for name in table.task_names if name not in tasks],
        "learners": list(train.learners),
        "cost_weight": cost_weight,
        "cheapest_cost": _cheapest_call(table),
        "money_unit": table.money_unit,
        "left_out_task": left_out,
        "added_model": added,
        "record": {
            "left_out_task": "fitted and chosen on the other tasks alone, tested on this one's test queries",
            "in_distribution": "fitted on all tasks, tested on the same queries",
            "accuracy_ci": "95 % bootstrap over queries",
            "ci": "95 % t-interval over queries, duplicates as one, of differences paired; not corrected for how many",
        },
    }


def _cheapest_call(table: OutcomeTable) -> float:
    """Mean cost of a call of the model whose calls cost least on the test queries."""
    test, first = evaluated_queries(table, "test"), table.tree.stage_slice(1)
    costs = np.ma.array(test.cost[:, first], mask=~test.available[:, first]).mean(axis=0)
    return float(costs.min())


def _counted(fit: Contender, name: str, bar: Any) -> Contender:
    def counting(table: OutcomeTable) -> Policy:
        policy = fit(table)
        bar.set_postfix_str(name, refresh=False)
        bar.update()
        return policy

    return counting


def tested_tasks(table: OutcomeTable) -> list[str]:
    """The tasks that can be left out: those with test queries.

    Raises:
      InputError: if there is none, or nothing would be left to train on.
    """
    tasks = {task: {query.split for query in table.queries if query.task == task} for task in table.task_names}
    tested = [task for task, splits in tasks.items() if "test" in splits]
    if not tested or sum({"train", "validation"} <= splits for splits in tasks.values()) < 2:
        held = "; ".join(f"{task}: {', '.join(sorted(splits))}" for task, splits in tasks.items())
        raise InputError(
            "leaving a task out needs one with test queries, and two with training and validation queries, but the "
            f"table holds {held}"
        )
    return tested


def without_task(table: OutcomeTable, task: str) -> OutcomeTable:
    """The table whose training and validation queries are of other tasks and whose test queries are of this one.

    Raises:
      InputError: if no training or no validation query is of another task, or no test query of this one.
    """
    if task not in table.task_names:
        raise InputError(f"task {task!r} is none of the table's; {nearest(task, table.task_names)}")
    keep = np.array([(query.task == task) == (query.split == "test") for query in table.queries])
    left = table.select(keep)
    for split in ("train", "validation", "test"):
        left.split(split)
    return left


def leave_one_task_out(table: OutcomeTable, contenders: Mapping[str, Contender]) -> list[dict[str, Any]]:
    """Every contender on every tested task's test queries, fitted on the other tasks alone and fitted on all.

    The two fits are compared on the same queries, so that a hard benchmark does not read as a failure to generalise.

    Args:
      contenders: functions that fit a policy, by the names that the rows are to have.

    Returns:
      A row a task and contender: `accuracy` and `cost` without the task, `in_distribution` the accuracy with it,
      `difference` of the first less the second with its 95 % interval `ci` over queries, duplicates as one.
    """
    on_all = {name: fit(table) for name, fit in contenders.items()}
    rows = []
    for task in tested_tasks(table):
        left = without_task(table, task)
        test = evaluated_queries(left, "test")
        group = question_clusters(test)
        for name, fit in contenders.items():
            out, within = (outcome_by_question(test, its(test)) for its in (fit(left), on_all[name]))
            difference = paired_difference(out.quality, within.quality, group)
            rows.append(
                {
                    "task": task,
                    "policy": name,
                    "queries": len(out.quality),
                    **achieved(out),
                    "in_distribution": float(within.quality.mean()),
                    "difference": difference.value,
                    "ci": list(difference.interval),
                }
            )
    return rows


def with_new_model(table: OutcomeTable, model: str, known: int, seed: int = 0) -> OutcomeTable:
    """The table of a pool to which a model was added after collection: few training queries hold its outcomes.

    Every hop of the model, and all that comes after one, is missing from training and validation but for `known`
    training queries drawn at random; test queries hold everything.

    Raises:
      InputError: if the pool has no such model, or no other, or fewer training queries than are to be known.
    """
    if model not in table.model_names or len(table.pool) < 2:
        raise InputError(f"model {model!r} cannot be the pool's new one; {nearest(model, table.model_names)}")
    split = np.array([query.split for query in table.queries])
    training = np.flatnonzero(split == "train")
    if not 0 <= known <= len(training):
        raise InputError(f"known is {known}, but must be from 0 to the {len(training)} training queries")
    holds = split == "test"
    holds[np.random.default_rng(seed).permutation(training)[:known]] = True
    missing = ~holds[:, None] & calls_model(table.tree, table.model_names.index(model))
    return replace(
        table,
        available=table.available & ~missing,
        quality=np.where(missing, np.float32(0), table.quality),
        tokens_in=np.where(missing, np.int32(0), table.tokens_in),
        tokens_out=np.where(missing, np.int32(0), table.tokens_out),
        tokens_cached=np.where(missing, np.int32(0), table.tokens_cached),
        response=np.where(missing, "", table.response).astype(object),
    )


def add_model(
    table: OutcomeTable, model: str, known: Iterable[int], contenders: Mapping[str, Contender], seed: int = 0
) -> list[dict[str, Any]]:
    """Every contender with a model that only so many training queries were sent to.

    With none known, a policy knows nothing of the model but that it may be called. The opponents never prefer an
    outcome that they have not seen to one that they have, so they leave it alone; a learned policy's score for it is
    what its network started with, and whether it calls the model is an accident that `used` shows. Training queries
    whose trees were collected in part, by promise, are left out: what they lack is no accident.

    Returns:
      A row a number and contender: `accuracy`, `cost` and `used`, the share of test queries whose route calls the
      model.
    """
    table, rows = without_partial_trees(table), []
    for number in known:
        partial = with_new_model(table, model, number, seed)
        test = evaluated_queries(partial, "test")
        calls = calls_model(table.tree, table.model_names.index(model))
        for name, fit in contenders.items():
            ends = fit(partial)(test)
            outcome = outcome_by_question(test, ends)
            rows.append(
                {
                    "model": model,
                    "known": int(number),
                    "policy": name,
                    **achieved(outcome),
                    "used": float(ends[:, calls].sum(axis=1).mean()),
                }
            )
    return rows


def calls_model(tree: HopTree, model: int) -> Bool[np.ndarray, " N"]:
    """Whether the route to each node calls the model."""
    return np.array([model in tree.route(node) for node in range(tree.num_nodes)])
