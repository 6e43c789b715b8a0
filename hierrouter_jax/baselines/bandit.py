"""An opponent that learns online, from the reward of the model that it called and of no other."""

import numpy as np
from jaxtyping import Float

from hierrouter_jax.baselines.problem import Policy, Problem, chosen_on_validation, ending_best
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.outcomes.ties import first_best

GRID = tuple((explore, alpha) for explore in (0.1, 0.3, 1.0) for alpha in (10.0, 100.0))
_BATCH = 16  # queries answered between two updates


def fit_bandit(problem: Problem) -> Policy:
    """LinUCB with a linear model an arm, in one pass over the training queries in random order.

    Li, Chu, Langford and Schapire (2010, arXiv 1003.0146). It sees quality less weighed cost of the one model that it
    calls, updates after every batch of queries, and at the end exploits. Exploration and ridge are chosen on
    validation, where all outcomes are known: without that it would have nothing to choose them by.
    """
    return chosen_on_validation(problem, [_exploit(problem, linucb(problem, *numbers)) for numbers in GRID])


def linucb(problem: Problem, explore: float, alpha: float) -> Float[np.ndarray, "M G"]:
    """Weights of each arm on the features and a constant, after the pass.

    Args:
      explore: how many standard errors an arm's uncertainty counts for.
      alpha: ridge penalty that each arm starts from.
    """
    train, first = problem.train, problem.train.tree.stage_slice(1)
    x, known = _with_constant(problem.features(train)), train.available[:, first]
    reward = train.quality[:, first] - problem.weight * train.cost[:, first]
    models, size = known.shape[1], x.shape[1]
    inverse = np.tile(np.eye(size) / alpha, (models, 1, 1))
    total, weights = np.zeros((models, size)), np.zeros((models, size))
    rng = np.random.default_rng(problem.seed)
    order = rng.permutation(np.flatnonzero(known.any(axis=1)))
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        here = x[rows]
        spread = np.sqrt(np.maximum((here @ inverse * here).sum(axis=2).T, 0.0))
        bound = here @ weights.T + explore * spread
        arm = first_best(np.where(known[rows], bound, -np.inf), [a for a in problem.tie_order if a < models])
        for model in np.unique(arm):
            chosen = rows[arm == model]
            seen = x[chosen]
            half = inverse[model] @ seen.T  # the inverse of a sum with few more rows, by Woodbury's identity
            inverse[model] -= half @ np.linalg.solve(np.eye(len(chosen)) + seen @ half, half.T)
            total[model] += reward[chosen, model] @ seen
            weights[model] = inverse[model] @ total[model]
    return weights


def _exploit(problem: Problem, weights: Float[np.ndarray, "M G"]) -> Policy:
    def policy(table: OutcomeTable) -> Float[np.ndarray, "Q N"]:
        scores = np.full(table.quality.shape, -np.inf)
        scores[:, table.tree.stage_slice(1)] = _with_constant(problem.features(table)) @ weights.T
        return ending_best(scores, table, table.tree.stages == 1, problem.route_order)

    return policy


def _with_constant(x: Float[np.ndarray, "Q F"]) -> Float[np.ndarray, "Q G"]:
    """Features and a constant that no penalty to speak of holds down."""
    return np.concatenate([x.astype(np.float64), np.full((len(x), 1), 10.0)], axis=1)
