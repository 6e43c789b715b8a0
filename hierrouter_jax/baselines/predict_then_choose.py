"""Opponents that call one model: predict what each would score and cost on the query, and choose the best."""

from functools import partial

import numpy as np
from jaxtyping import Float

from hierrouter_jax.baselines.problem import Policy, Problem, chosen_on_validation, ending_best
from hierrouter_jax.baselines.regressors import Regressor, logistic, neighbours, perceptron, reduced_rank, ridge
from hierrouter_jax.outcomes.table import OutcomeTable

ALPHAS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)  # for features of unit spread
FAMILIES: dict[str, tuple[Regressor, ...]] = {
    "knn": tuple(partial(neighbours, k=k) for k in (5, 10, 20, 50, 100, 200)),
    "linear": tuple(partial(ridge, alpha=alpha) for alpha in ALPHAS),
    "logistic": tuple(partial(logistic, inverse=inverse) for inverse in (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)),
    "mlp": tuple(partial(perceptron, width=width, alpha=a) for width in (32, 128) for a in (1.0, 10.0, 100.0)),
    "matrix-factorisation": tuple(
        partial(reduced_rank, alpha=alpha, rank=rank) for alpha in (100.0, 1e3) for rank in (1, 2, 3)
    ),
}


def fit_predicted_best(problem: Problem, family: str) -> Policy:
    """The model whose predicted quality, less the weighed predicted cost, is highest.

    Qualities are predicted by each configuration of the family, whichever has the best return on validation; costs by
    a ridge regression of their own, the same for every family. No cost weight changes either prediction.
    """
    train, first = problem.train, problem.train.tree.stage_slice(1)
    known = train.available[:, first]

    def qualities() -> list:
        x, y = problem.features(train), train.quality[:, first].astype(np.float64)
        drawn = {"seed": problem.seed} if family == "mlp" else {}
        return [regressor(x, y, known, **drawn).predict for regressor in FAMILIES[family]]

    def costs():
        x, y = problem.features(train), train.cost[:, first].astype(np.float64)
        fits = [ridge(x, y, known, alpha).predict for alpha in ALPHAS]
        held, here = problem.validation, problem.validation.available[:, first]
        errors = [
            np.square(np.where(here, predict(problem.features(held)) - held.cost[:, first], 0.0)).sum()
            for predict in fits
        ]
        return fits[int(np.nanargmin(errors))] if np.isfinite(errors).any() else fits[-1]

    predict_cost = problem.once("first costs", costs)

    def scores(predict, table: OutcomeTable) -> Float[np.ndarray, "Q N"]:
        x = problem.features(table)
        found = np.full(table.quality.shape, -np.inf)
        found[:, first] = predict(x) - problem.weight * np.maximum(predict_cost(x), 0.0)
        return np.nan_to_num(found, nan=-np.inf)

    calls = train.tree.stages == 1
    return chosen_on_validation(
        problem,
        [
            lambda table, predict=predict: ending_best(scores(predict, table), table, calls)
            for predict in problem.once(family, qualities)
        ],
    )
