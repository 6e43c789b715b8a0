"""Regressors of several outcomes at once that leave out what is missing: ridge, neighbours, perceptron, logistic.

Each is a function `(x, y, known, ...) -> Fitted` of S rows, F features and K outcomes. An outcome that no row knows is
predicted as NaN, which no opponent prefers to anything. scikit-learn, slow to load, is imported where it is used.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.linalg import cho_factor, cho_solve

_FOLDS = 3
_MANY = 5_000  # rows from which on a network takes larger batches
_PATIENCE = 5  # passes without progress on a tenth of the rows, after which a perceptron stops

Predict = Callable[[Float[np.ndarray, "R F"]], Float[np.ndarray, "R K"]]


@dataclass(frozen=True)
class Fitted:
    """A fitted regressor.

    Attributes:
      predict: outcomes of new rows.
      held_out: outcomes of the fitted rows, each predicted without itself.
    """

    predict: Predict
    held_out: Callable[[], Float[np.ndarray, "S K"]]


Regressor = Callable[..., Fitted]  # of x [S, F], y [S, K] and which of y are known [S, K]


def ridge(
    x: Float[np.ndarray, "S F"], y: Float[np.ndarray, "S K"], known: Bool[np.ndarray, "S K"], alpha: float
) -> Fitted:
    """Ridge regression with an intercept, and its leave-one-out predictions in closed form.

    A row's prediction without itself is y - (y - fitted) / (1 - leverage) (Allen, 1974).

    Args:
      alpha: strength of the penalty; x is best of unit spread.
    """
    slope, intercept = np.zeros((x.shape[1], y.shape[1])), np.full(y.shape[1], np.nan)
    held_out = np.full(y.shape, np.nan)
    patterns, pattern = np.unique(known, axis=1, return_inverse=True)
    for index, rows in enumerate(patterns.T):
        columns = pattern.ravel() == index
        if not rows.any():
            continue
        here, there = x[rows].astype(np.float64), y[rows][:, columns].astype(np.float64)
        centre, level = here.mean(axis=0), there.mean(axis=0)
        here = here - centre
        factor = cho_factor(here.T @ here + alpha * np.eye(x.shape[1]))
        slope[:, columns] = cho_solve(factor, here.T @ (there - level))
        intercept[columns] = level - centre @ slope[:, columns]
        leverage = 1 / len(here) + (here * cho_solve(factor, here.T).T).sum(axis=1)
        fitted = x @ slope[:, columns] + intercept[columns]
        fitted[rows] = there - (there - fitted[rows]) / np.maximum(1 - leverage, 1e-6)[:, None]
        held_out[:, columns] = fitted
    return Fitted(lambda new: new @ slope + intercept, lambda: held_out)


def neighbours(
    x: Float[np.ndarray, "S F"], y: Float[np.ndarray, "S K"], known: Bool[np.ndarray, "S K"], k: int
) -> Fitted:
    """The mean over the k nearest rows that know anything, of those among them that know the outcome."""
    rows = known.any(axis=1)
    if rows.sum() < 2:
        return constant(y, known)
    from sklearn.neighbors import NearestNeighbors

    there, seen, level = np.where(known, y, 0.0)[rows], known[rows], level_of(y, known)
    index = NearestNeighbors(n_neighbors=min(k, int(rows.sum()) - 1), algorithm="brute").fit(x[rows])

    def mean(nearest: np.ndarray) -> Float[np.ndarray, "R K"]:
        total, count = np.zeros((len(nearest), y.shape[1])), np.zeros((len(nearest), y.shape[1]))
        for row in nearest.T:  # one neighbour of all queries at a time, which keeps memory small
            total += there[row]
            count += seen[row]
        return np.where(count > 0, total / np.maximum(count, 1), level)

    def held_out() -> Float[np.ndarray, "S K"]:
        predicted = np.broadcast_to(level, y.shape).copy()
        predicted[rows] = mean(index.kneighbors(return_distance=False))  # no row is its own neighbour
        return predicted

    return Fitted(lambda new: mean(index.kneighbors(new, return_distance=False)), held_out)


def perceptron(
    x: Float[np.ndarray, "S F"],
    y: Float[np.ndarray, "S K"],
    known: Bool[np.ndarray, "S K"],
    width: int,
    alpha: float,
    seed: int = 0,
    passes: int = 60,
    group: Int[np.ndarray, " S"] | None = None,
) -> Fitted:
    """A network of one hidden layer for all outcomes together; a missing one is filled by ridge's prediction.

    Args:
      width: width of the hidden layer.
      alpha: strength of the weight decay.
      passes: largest number of passes over the rows; it stops early on a tenth of them.
      group: group of each row, held out together; by default each row alone.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    def predictor(x: np.ndarray, y: np.ndarray, known: np.ndarray) -> Predict:
        rows, level = known.any(axis=1), level_of(y, known)
        if rows.sum() < 2 * _FOLDS:
            return constant(y, known).predict
        filled = y if known.all() else np.where(known, y, np.nan_to_num(ridge(x, y, known, 1000.0).predict(x)))
        spread = filled[rows].std(axis=0) + 1e-9
        centred = (filled[rows] - np.nan_to_num(level)) / spread
        batch: Any = min(64 if rows.sum() < _MANY else 512, int(0.9 * rows.sum()))
        network = MLPRegressor(
            hidden_layer_sizes=(width,),
            alpha=alpha,
            batch_size=batch,
            learning_rate_init=3e-3,
            max_iter=passes,
            early_stopping=True,
            n_iter_no_change=_PATIENCE,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of passes is a bound on time
            network.fit(x[rows].astype(np.float32), centred.astype(np.float32).squeeze())
        return lambda new: np.reshape(network.predict(new.astype(np.float32)), (len(new), -1)) * spread + level

    return Fitted(predictor(x, y, known), lambda: cross_fitted(predictor, x, y, known, group))


def logistic(
    x: Float[np.ndarray, "S F"], y: Float[np.ndarray, "S K"], known: Bool[np.ndarray, "S K"], inverse: float
) -> Fitted:
    """Logistic regression of each outcome in [0, 1]; one between counts as right with that weight.

    Args:
      inverse: inverse of the regularisation's strength.
    """

    def predictor(x: np.ndarray, y: np.ndarray, known: np.ndarray) -> Predict:
        columns = [_logistic_column(x[rows], column[rows], inverse) for column, rows in zip(y.T, known.T, strict=True)]
        return lambda new: np.stack([column(new) for column in columns], axis=1)

    return Fitted(predictor(x, y, known), lambda: cross_fitted(predictor, x, y, known))


def reduced_rank(
    x: Float[np.ndarray, "S F"], y: Float[np.ndarray, "S K"], known: Bool[np.ndarray, "S K"], alpha: float, rank: int
) -> Fitted:
    """Ridge whose slope has at most `rank` dimensions: outcome k of a row is b_k + <W x, v_k>.

    The best such matrix factorisation in closed form: project ridge's predictions on their leading right singular
    vectors (Izenman, 1975; with a ridge penalty, Mukherjee and Zhu, 2011).
    """
    full = ridge(x, y, known, alpha)
    fitted = full.predict(x)
    level = fitted.mean(axis=0)
    finite = np.isfinite(level)
    directions = np.linalg.svd(fitted[:, finite] - level[finite], full_matrices=False)[2][:rank]

    def project(predicted: Float[np.ndarray, "R K"]) -> Float[np.ndarray, "R K"]:
        projected = predicted.copy()
        projected[:, finite] = level[finite] + (predicted[:, finite] - level[finite]) @ directions.T @ directions
        return projected

    return Fitted(lambda new: project(full.predict(new)), lambda: project(full.held_out()))


def constant(y: Float[np.ndarray, "S K"], known: Bool[np.ndarray, "S K"]) -> Fitted:
    """The mean of what is known of each outcome."""
    level = level_of(y, known)
    return Fitted(lambda new: np.tile(level, (len(new), 1)), lambda: np.tile(level, (len(y), 1)))


def level_of(y: Float[np.ndarray, "S K"], known: Bool[np.ndarray, "S K"]) -> Float[np.ndarray, " K"]:
    """Mean of what is known of each outcome, NaN where nothing is."""
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, y, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def cross_fitted(
    predictor: Callable[..., Predict],
    x: np.ndarray,
    y: np.ndarray,
    known: np.ndarray,
    group: Int[np.ndarray, " S"] | None = None,
) -> Float[np.ndarray, "S K"]:
    """Predictions of every row by a fit on the folds without its group, by default without itself."""
    groups = np.unique(np.arange(len(x)) if group is None else group, return_inverse=True)[1]
    if groups.max(initial=0) + 1 < 2 * _FOLDS:
        return constant(y, known).held_out()
    fold = np.random.default_rng(0).permutation(groups.max() + 1)[groups] % _FOLDS
    predicted = np.empty(y.shape)
    for index in range(_FOLDS):
        fitted, left = fold != index, fold == index
        predicted[left] = predictor(x[fitted], y[fitted], known[fitted])(x[left])
    return predicted


def is_network(regressor: Regressor) -> bool:
    """Whether a configuration is a `perceptron`, which is slow to fit and draws."""
    return getattr(regressor, "func", None) is perceptron


def _logistic_column(
    x: Float[np.ndarray, "S F"], y: Float[np.ndarray, " S"], inverse: float
) -> Callable[[np.ndarray], Float[np.ndarray, " R"]]:
    weight = np.concatenate([y, 1 - y])
    counts = weight > 0
    label = np.repeat([1, 0], len(y))[counts]
    if len(np.unique(label)) < 2:
        level = y.mean() if len(y) else np.nan
        return lambda new: np.full(len(new), level)
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=inverse, max_iter=300, tol=1e-3)
    fitted.fit(np.concatenate([x, x])[counts], label, weight[counts])
    return lambda new: fitted.predict_proba(new)[:, 1]
