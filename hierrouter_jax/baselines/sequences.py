"""Opponents that never look at a response: single models, fixed sequences, a sequence per task, random."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from hierrouter_jax.baselines import oracle
from hierrouter_jax.baselines.problem import Policy, Problem, ending_best
from hierrouter_jax.evaluation.policy_outcome import ending_at
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.outcomes.ties import first_best, route_order

INVERSE_REGULARISATION = (0.1, 1.0, 10.0, 100.0)
TASK_GRID = len(INVERSE_REGULARISATION)
_PRIOR = 10  # queries' worth of the overall mean that a node missing from some queries is pulled towards


def repeated_call(table: OutcomeTable, model: int, hops: int) -> Int[np.ndarray, " Q"]:
    """The same model called `hops` times."""
    return np.full(table.num_queries, table.tree.node([model] * hops))


def best_sequence(train: OutcomeTable, fixed_length: bool, cost_weight: float, hops: int | None = None) -> int:
    """Node of the route with the best mean return on the training queries.

    Args:
      fixed_length: whether only routes of exactly L hops count; otherwise those of 1..L.
      cost_weight: cost weight of the return, per money unit.
      hops: number of hops of the routes that count (1 for the best single model); by default any.
    """
    mean = mean_returns(train, fixed_length, cost_weight)
    if hops is not None:
        mean = np.where(train.tree.stages == hops, mean, -np.inf)
    return int(first_best(mean, route_order(train)))


def mean_returns(train: OutcomeTable, fixed_length: bool, cost_weight: float) -> Float[np.ndarray, " N"]:
    """Mean return of ending at each node over the queries that hold it; -inf where an episode cannot end there.

    On a partial table the nodes' means are of different queries: one that few hold is pulled towards the mean of
    all, so that it is not chosen for its luck.
    """
    values = oracle.route_values(train, fixed_length, cost_weight)
    possible = np.isfinite(values)
    count = possible.sum(axis=0)
    if not possible.any():
        return np.full(train.tree.num_nodes, -np.inf)
    if np.isin(count, (0, train.num_queries)).all():
        return values.mean(axis=0)
    total = np.where(possible, values, 0.0).sum(axis=0)
    return np.where(count > 0, (total + _PRIOR * total.sum() / count.sum()) / (count + _PRIOR), -np.inf)


def best_per_task(
    train: OutcomeTable, fixed_length: bool, cost_weight: float, hops: int | None = None
) -> Int[np.ndarray, " T"]:
    """`best_sequence` within each task; a task without training queries gets the overall best."""
    overall = best_sequence(train, fixed_length, cost_weight, hops)
    return np.array(
        [
            best_sequence(train.select(train.task == task), fixed_length, cost_weight, hops)
            if (train.task == task).any()
            else overall
            for task in range(len(train.task_names))
        ]
    )


def fit_task_classifier(
    train: OutcomeTable, validation: OutcomeTable, transform: Callable[[np.ndarray], np.ndarray]
) -> Callable[[OutcomeTable], Int[np.ndarray, " Q"]]:
    """A classifier of the task from the query's embedding alone, its regularisation tuned on validation.

    Args:
      transform: the run's feature reduction, so that the opponent sees what the router sees.
    """

    def features(table: OutcomeTable) -> Float[np.ndarray, "Q F"]:
        return transform(table.context_embedding[:, 0])

    if len(np.unique(train.task)) == 1:
        return lambda table: np.full(table.num_queries, train.task[0])
    from sklearn.linear_model import LogisticRegression  # slow to load

    fitted = [
        LogisticRegression(C=strength, max_iter=2000).fit(features(train), train.task)
        for strength in INVERSE_REGULARISATION
    ]
    best = max(fitted, key=lambda classifier: classifier.score(features(validation), validation.task))
    return lambda table: best.predict(features(table))


def random_policy(table: OutcomeTable, allow_stop: bool) -> Float[np.ndarray, "Q N"]:
    """End probabilities of choosing uniformly among the legal actions at every hop, in expectation."""
    tree, reach = table.tree, np.zeros(table.quality.shape)
    ends = np.zeros_like(reach)
    reach[:, 0] = 1.0
    for node in range(tree.num_nodes):
        inner = node < tree.num_decision_nodes
        children = tree.child(node, np.arange(tree.num_models)) if inner else np.empty(0, dtype=int)
        legal = table.available[:, children]
        stop = (legal.sum(axis=1) == 0) | (allow_stop and node > 0)
        share = reach[:, node] / (legal.sum(axis=1) + stop)
        ends[:, node] = share * stop
        reach[:, children] = legal * share[:, None]
    return ends


def fit_one_model(problem: Problem, model: int, hops: int) -> Policy:
    """One model called `hops` times; where its call is missing, the best on training of as many hops."""
    scores = mean_returns(problem.train, False, problem.weight)
    scores[problem.train.tree.node([model] * hops)] = np.inf
    return lambda table: ending_best(scores, table, candidates(table.tree, False, hops), problem.route_order)


def fit_best_sequence(problem: Problem, fixed_length: bool, hops: int | None = None) -> Policy:
    """`best_sequence` for every query; where it is missing, the next best."""
    scores = mean_returns(problem.train, fixed_length, problem.weight)
    return lambda table: ending_best(scores, table, candidates(table.tree, fixed_length, hops), problem.route_order)


def fit_best_single_per_task(problem: Problem) -> Policy:
    """The best single model of the query's task: it knows the task, as no deployed router does."""
    scores = task_scores(problem, fixed_length=False)
    order = problem.route_order
    return lambda table: ending_best(scores[table.task], table, candidates(table.tree, False, hops=1), order)


def fit_task_sequence(problem: Problem, fixed_length: bool) -> Policy:
    """The best sequence of the task that a classifier reads off the query, which no cost weight changes."""
    classify = problem.once("tasks", lambda: fit_task_classifier(problem.train, problem.validation, problem.transform))
    scores = task_scores(problem, fixed_length)
    order = problem.route_order
    return lambda table: ending_best(scores[classify(table)], table, candidates(table.tree, fixed_length), order)


def fit_random(problem: Problem, allow_stop: bool) -> Policy:
    """`random_policy`: nothing to fit."""
    return lambda table: random_policy(table, allow_stop)


def fit_oracle(problem: Problem, fixed_length: bool) -> Policy:
    """The best route of each query by its outcomes, which no deployed router knows."""
    best = oracle.oracle_fixed if fixed_length else oracle.oracle_stop
    return lambda table: ending_at(best(table), table.tree)


def task_scores(problem: Problem, fixed_length: bool) -> Float[np.ndarray, "T N"]:
    """`mean_returns` within each task; of all queries for a task without training queries."""
    train, weight = problem.train, problem.weight
    parts = [train.select(train.task == task) for task in range(len(train.task_names))]
    return np.stack([mean_returns(part if part.num_queries else train, fixed_length, weight) for part in parts])


def candidates(tree: HopTree, fixed_length: bool, hops: int | None = None) -> Bool[np.ndarray, " N"]:
    """Nodes that an open-loop policy may end at: of L hops, of exactly `hops`, or of any number."""
    hops = tree.horizon if fixed_length else hops
    return tree.stages > 0 if hops is None else tree.stages == hops
