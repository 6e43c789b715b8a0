"""Policies of the same seeds on the same queries, compared in pairs: crossed bootstrap, sign flips, verdicts."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from hierrouter_jax.evaluation.intervals import RESAMPLES

Verdict = Literal["better", "worse", "tied", "undecided"]

FLIPS = 9999
_AT_ONCE = 2_000_000  # signs held at a time
SIGNIFICANCE = 0.05
TIE_MARGIN = 0.01  # one point


class Resamples(NamedTuple):
    """Bootstrap weights, each row adding up to 1.

    Attributes:
      seeds: [R, S].
      queries: [R, Q].
    """

    seeds: Float[np.ndarray, "R S"]
    queries: Float[np.ndarray, "R Q"]


def crossed_resamples(seeds: int, queries: int, count: int = RESAMPLES, seed: int = 0) -> Resamples:
    """Seeds and queries, each redrawn with replacement: the pigeonhole bootstrap of crossed data (Owen 2007).

    One draw serves every policy, so that differences between them are paired. The interval is about new seeds on new
    queries; it is, if anything, too wide. With one seed it is the plain bootstrap over queries.
    """
    rng = np.random.default_rng(seed)
    by_query = rng.multinomial(queries, np.full(queries, 1 / queries), size=count) / queries
    by_seed = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=count) / seeds
    return Resamples(by_seed, by_query)


def crossed_means(values: Float[np.ndarray, "*B S Q"], resamples: Resamples) -> Float[np.ndarray, "*B R"]:
    """The mean over seeds and queries in every resample."""
    flat = values.reshape(-1, *values.shape[-2:])
    means = [np.einsum("rq,rq->r", resamples.seeds @ one, resamples.queries) for one in flat]
    return np.reshape(means, (*values.shape[:-2], -1))


def flipped_means(differences: Float[np.ndarray, "K Q"], count: int = FLIPS, seed: int = 0) -> Float[np.ndarray, "P K"]:
    """The mean over queries after each query's differences have kept or turned their sign at random, all K alike.

    The paired permutation test's distribution under the hypothesis that on every query the two policies could as
    well have been named the other way round.
    """
    rng, queries = np.random.default_rng(seed), differences.shape[1]
    step = max(1, _AT_ONCE // queries)
    parts = []
    for start in range(0, count, step):
        signs = 2.0 * rng.integers(0, 2, size=(min(step, count - start), queries)) - 1
        parts.append(signs @ differences.T / queries)
    return np.concatenate(parts)


def permutation_p(observed: float, permuted: Float[np.ndarray, " P"]) -> float:
    """Two-sided p-value (1 + those at least as far from 0) / (P + 1), which is never 0 (Phipson and Smyth 2010)."""
    as_far = np.abs(permuted) >= abs(observed) - 1e-12
    return float((1 + as_far.sum()) / (1 + len(permuted)))


def verdict(low: float, high: float, p_corrected: float) -> Verdict:
    """What a paired difference allows to say.

    Better or worse needs both a 95 % interval without 0 and a corrected p-value below .05. Tied: neither, but the
    interval's lower bound is above -1 point. Everything else is undecided, which is a result.

    Args:
      low, high: bounds of the difference, on a scale where 1 is 100 points.
      p_corrected: over the declared family.
    """
    if p_corrected < SIGNIFICANCE and low > 0:
        return "better"
    if p_corrected < SIGNIFICANCE and high < 0:
        return "worse"
    return "tied" if low > -TIE_MARGIN else "undecided"
