"""Kernel ridge regression of what an action returns at a context, from few rows, with a query's own rows held out."""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.linalg import cholesky, eigh, solve_triangular

from hierrouter_jax.baselines.regressors import Fitted, constant

QUERY, CHANGE = 64, 32  # directions kept of a query's context, and of what its responses changed in it
WIDTH = 0.5, 1.0  # of the Gaussian kernels of the two, over their mean squared spread
ADDITIVE = 0.3  # share of the kernel in which the two count apart, and not only together
PENALTIES = 0.1, 0.3, 1.0
LANDMARKS = 1000  # most rows that span the predictions (Nystroem)


def kernel_ridge(
    x: Float[np.ndarray, "S F"],
    y: Float[np.ndarray, "S K"],
    known: Bool[np.ndarray, "S K"],
    group: Int[np.ndarray, " S"] | None = None,
    split: int = QUERY,
    seed: int = 0,
) -> Fitted:
    """Kernel ridge regression of each outcome; the penalty with the least leave-group-out error of all is taken.

    The kernel is 1 + a (k_q + k_c) / 2 + (1 - a) k_q k_c with Gaussian kernels of the query and of the change: what a
    response is worth depends on the question. Held-out predictions are of a fit without the row's whole group, in
    closed form: w_(-g) = w - A^-1 Z_g' (I - Z_g A^-1 Z_g')^-1 (y_g - Z_g w) with A = Z'Z + penalty.

    Args:
      x: parts of the contexts, those of the query first, as `ContextParts` gives them.
      group: number of each row's query; by default each row is its own.
      split: number of columns that are of the query.
      seed: seed of the draw of landmarks, where there are more rows than `LANDMARKS`.
    """
    group = np.arange(len(x)) if group is None else group
    rows = np.flatnonzero(known.any(axis=1))
    if not len(rows):
        return constant(y, known)
    landmarks = x[np.sort(np.random.default_rng(seed).permutation(rows)[:LANDMARKS])]
    between = _kernel(landmarks, landmarks, split)
    half = cholesky(between + 1e-8 * len(between) * np.eye(len(between)), lower=True)

    def features(new: Float[np.ndarray, "R F"]) -> Float[np.ndarray, "R Z"]:
        return solve_triangular(half, _kernel(landmarks, new, split), lower=True).T

    order = np.argsort(group, kind="stable")
    bounds = np.flatnonzero(np.diff(group[order], prepend=-1, append=-1))
    groups = [order[start:end] for start, end in pairwise(bounds)]
    z = features(x)
    columns = [_Column(z, y[:, k], known[:, k], groups) for k in range(y.shape[1])]
    held = [np.stack([column.held_out(penalty) for column in columns], axis=1) for penalty in PENALTIES]
    best = int(np.argmin([np.square(np.where(known, one - y, 0.0)).sum() for one in held]))
    slopes = np.stack([column.slope(PENALTIES[best]) for column in columns], axis=1)
    return Fitted(lambda new: features(new) @ slopes, lambda: held[best])


class _Column:
    """One outcome's regression on shared features, for every penalty: its rows in the eigenbasis of their Z'Z."""

    def __init__(
        self,
        z: Float[np.ndarray, "S Z"],
        y: Float[np.ndarray, " S"],
        known: Bool[np.ndarray, " S"],
        groups: list[Int[np.ndarray, " G"]],
    ) -> None:
        self.y, self.groups, self.known = np.where(known, y, 0.0), groups, known
        self.values, self.vectors = eigh(z[known].T @ z[known])
        self.z = z @ self.vectors
        self.total = self.z[known].T @ y[known]

    def slope(self, penalty: float) -> Float[np.ndarray, " Z"]:
        """Weights of the shared features; not a number where no row knows the outcome."""
        return (
            self.vectors @ (self.total / (self.values + penalty))
            if self.known.any()
            else np.full(len(self.total), np.nan)
        )

    def held_out(self, penalty: float) -> Float[np.ndarray, " S"]:
        """Prediction of every row by a fit without its group."""
        if not self.known.any():
            return np.full(len(self.y), np.nan)
        scaled = self.z / (self.values + penalty)
        predicted = scaled @ self.total
        for rows in self.groups:
            own = rows[self.known[rows]]
            if len(own):
                within = np.eye(len(own)) - self.z[own] @ scaled[own].T
                left = np.linalg.solve(within, self.y[own] - predicted[own])
                predicted[rows] -= scaled[rows] @ (self.z[own].T @ left)
        return predicted


def _kernel(a: Float[np.ndarray, "S F"], b: Float[np.ndarray, "R F"], split: int) -> Float[np.ndarray, "S R"]:
    query, change = (
        np.exp(-width * _distances(a[:, part], b[:, part]))
        for width, part in zip(WIDTH, (slice(split), slice(split, None)), strict=True)
    )
    return 1 + ADDITIVE * (query + change) / 2 + (1 - ADDITIVE) * query * change


def _distances(a: Float[np.ndarray, "S F"], b: Float[np.ndarray, "R F"]) -> Float[np.ndarray, "S R"]:
    return np.maximum(np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T, 0.0)
