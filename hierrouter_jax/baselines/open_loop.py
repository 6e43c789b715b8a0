"""Opponents that never look at a response: single models, fixed sequences, a sequence per task, random."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression

from hierrouter_jax.baselines.oracle import route_values
from hierrouter_jax.outcomes.table import OutcomeTable

INVERSE_REGULARISATION = (0.1, 1.0, 10.0, 100.0)


def repeated_call(table: OutcomeTable, model: int, hops: int) -> Int[np.ndarray, " Q"]:
    """The same model called `hops` times."""
    return np.full(table.num_queries, table.tree.node([model] * hops))


def best_sequence(train: OutcomeTable, fixed_length: bool, cost_weight: float, hops: int | None = None) -> int:
    """Node of the route with the best mean return on the training queries.

    Args:
      fixed_length: only routes of exactly L hops; otherwise 1..L.
      cost_weight: per money unit.
      hops: only routes of this many hops (1 for the best single model).
    """
    mean = route_values(train, fixed_length, cost_weight).mean(axis=0)
    if hops is not None:
        mean = np.where(train.tree.stages == hops, mean, -np.inf)
    return int(mean.argmax())


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
