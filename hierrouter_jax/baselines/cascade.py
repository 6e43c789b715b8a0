"""Opponents that call models in a fixed order until a learned confidence is high enough: cascade, self-refinement."""

from collections.abc import Sequence
from functools import partial
from itertools import combinations, pairwise

import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.baselines.problem import Policy, Problem, chosen_on_validation, walk
from hierrouter_jax.baselines.regressors import Fitted, logistic
from hierrouter_jax.baselines.sequences import best_sequence
from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.outcomes.table import RIGHT, OutcomeTable

INVERSE_REGULARISATION = (1e-4, 1e-3, 1e-2, 0.1)
THRESHOLDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01)  # the first is met at once, the last never
GRID = len(INVERSE_REGULARISATION) + len(THRESHOLDS)
Chain = tuple[int, ...]


def fit_cascade(problem: Problem) -> Policy:
    """Cheap models first, a dearer one while a classifier holds the present answer for wrong.

    FrugalGPT (Chen, Zaharia and Zou, arXiv 2305.05176): a list of models in order of cost, a learned score of the
    answer, a threshold. The score is a logistic regression of "the answer is right" on the context after the hop;
    its regularisation is chosen on validation, the list of min(L, M) models on training by scores made without the
    query itself, the threshold on validation.
    """
    train = problem.train
    by_cost = [action for action in problem.tie_order if action < train.tree.num_models]  # which goes by price first
    return fit_chains(problem, list(combinations(by_cost, min(train.tree.horizon, len(by_cost)))))


def fit_self_refinement(problem: Problem) -> Policy:
    """The best single model called again on its own answer, up to L times, until a classifier holds it for right.

    Self-Refine (Madaan et al., arXiv 2303.17651) with the learned stop of `fit_cascade`; never calling again and
    always calling L times are among the thresholds.
    """
    train = problem.train
    best = train.tree.route(best_sequence(train, False, problem.weight, hops=1))
    return fit_chains(problem, [best * train.tree.horizon])


def fit_chains(problem: Problem, chains: Sequence[Chain]) -> Policy:
    """The best chain for each threshold on training, and the best threshold on validation.

    Args:
      chains: candidate sequences of models in order of calling, no longer than the horizon.
    """
    policies = []
    for threshold in THRESHOLDS:
        values = [_training_return(problem, chain, threshold) for chain in chains]
        policies.append(partial(_follow, problem, chains[int(np.argmax(values))], threshold))
    return chosen_on_validation(problem, policies)


def _confidence(problem: Problem, node: int) -> Fitted:
    """Probability that the answer at a node is right, by the context there; no cost weight changes it."""
    inverse = problem.once("confidence", lambda: _regularisation(problem))

    def fit() -> Fitted:
        fitted = _fit_confidence(problem, node, inverse)
        held_out = fitted.held_out()  # at once, so that the features need not be kept
        return Fitted(fitted.predict, lambda: held_out)

    return problem.once(("confidence", node), fit)


def _fit_confidence(problem: Problem, node: int, inverse: float) -> Fitted:
    train = problem.train
    right = (train.quality[:, [node]] >= RIGHT).astype(np.float64)
    return logistic(problem.features(train, node), right, train.available[:, [node]], inverse)


def _regularisation(problem: Problem) -> float:
    """That of least squared error on validation, over the answers after one hop."""
    held = problem.validation

    def error(inverse: float) -> float:
        total = 0.0
        for node in range(1, 1 + held.tree.num_models):
            predicted = _fit_confidence(problem, node, inverse).predict(problem.features(held, node))[:, 0]
            here = held.available[:, node]
            total += float(np.nansum(np.square(predicted - (held.quality[:, node] >= RIGHT))[here]))
        return total

    return min(INVERSE_REGULARISATION, key=error)


def _training_return(problem: Problem, chain: Chain, threshold: float) -> float:
    """Mean return of a chain on the training queries that hold its first answer."""
    train = problem.train
    nodes = train.tree.path(train.tree.node(chain))
    value = train.quality - problem.weight * accumulate_cost(train.cost.astype(np.float64), train.tree)
    outcome = value[:, nodes[-1]]
    for node, following in reversed(list(pairwise(nodes))):
        enough = _confidence(problem, node).held_out()[:, 0] >= threshold
        outcome = np.where(enough | ~train.available[:, following], value[:, node], outcome)
    started = train.available[:, nodes[0]]
    return float(outcome[started].mean()) if started.any() else -np.inf


def _follow(problem: Problem, chain: Chain, threshold: float, table: OutcomeTable) -> Float[np.ndarray, "Q N"]:
    """End probabilities of the chain; where its next call is missing it stops, or starts with another model."""
    tree = table.tree
    following = {tree.node(chain[:hop]): model for hop, model in enumerate(chain)}

    def scores(node: int, rows: Int[np.ndarray, " R"]) -> Float[np.ndarray, "R A"]:
        preference = np.full((len(rows), tree.num_models + 1), -2.0)
        preference[:, -1] = 0.0
        if node in following:
            preference[:, following[node]] = 1.0
            if node:
                confidence = _confidence(problem, node).predict(problem.features(table, node, rows))[:, 0]
                preference[:, -1] = np.where(confidence >= threshold, 2.0, 0.0)
        return preference

    return walk(table, scores, True, problem.tie_order)
