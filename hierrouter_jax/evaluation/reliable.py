"""Aggregates over runs with stratified bootstrap intervals, as Agarwal et al. (2021) recommend for few runs.

The same numbers as the authors' library rliable gives (a test holds them together), drawn all at once and from a
seed of our own, and without its plotting and regression dependencies.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

RESAMPLES = 2000
TAILS = (2.5, 97.5)  # of a 95 % percentile interval


class Estimate(NamedTuple):
    """A number, or an array of them, with its 95 % interval."""

    value: Float[np.ndarray, "*B"]
    low: Float[np.ndarray, "*B"]
    high: Float[np.ndarray, "*B"]


def percentile_interval(
    resampled: Float[np.ndarray, "R *B"],
) -> tuple[Float[np.ndarray, "*B"], Float[np.ndarray, "*B"]]:
    """Bounds of the 95 % percentile interval from a statistic's bootstrap resamples."""
    low, high = np.percentile(resampled, TAILS, axis=0)
    return low, high


def interquartile_mean(scores: Float[np.ndarray, "S K *B"]) -> Float[np.ndarray, "*B"]:
    """Mean of the middle half of all S x K scores: a quarter is trimmed at each end, rounded down.

    Args:
      scores: of S runs on K strata (tasks, cost weights).
    """
    return stats.trim_mean(scores.reshape(-1, *scores.shape[2:]), 0.25, axis=0)


def interquartile_mean_estimate(
    scores: Float[np.ndarray, "S K *B"], resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Interquartile mean with its stratified bootstrap interval: runs are redrawn within each stratum.

    Any axes after the first two (such as the updates of a learning curve) are redrawn together.
    """
    rows = _redrawn(scores.shape[:2], resamples, np.random.default_rng(seed))
    drawn = scores[rows, np.arange(scores.shape[1])]  # [R, S, K, *B]
    means = stats.trim_mean(drawn.reshape(resamples, -1, *scores.shape[2:]), 0.25, axis=1)
    return Estimate(interquartile_mean(scores), *percentile_interval(means))


def probability_of_improvement(x: Float[np.ndarray, "S K"], y: Float[np.ndarray, "T K"]) -> float:
    """P(X > Y) + P(X = Y) / 2 for a run of each drawn at random, averaged over the strata: Mann-Whitney's U / (S T)."""
    return float(_improvement(x, y))


def probability_of_improvement_estimate(
    x: Float[np.ndarray, "S K"], y: Float[np.ndarray, "T K"], resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Probability of improvement with its interval: runs of both are redrawn independently within each stratum."""
    rng = np.random.default_rng(seed)
    strata = np.arange(x.shape[1])
    drawn = [scores[_redrawn(scores.shape, resamples, rng), strata] for scores in (x, y)]
    return Estimate(np.asarray(_improvement(x, y)), *percentile_interval(_improvement(*drawn)))


def _redrawn(shape: tuple[int, ...], resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Rows [R, S, K] of resamples with replacement, drawn apart for each stratum."""
    return rng.integers(0, shape[0], size=(resamples, *shape))


def _improvement(x: Float[np.ndarray, "*R S K"], y: Float[np.ndarray, "*R T K"]) -> Float[np.ndarray, "*R"]:
    ours, theirs = x[..., :, None, :], y[..., None, :, :]
    return ((ours > theirs) + 0.5 * (ours == theirs)).mean(axis=(-3, -2, -1))
