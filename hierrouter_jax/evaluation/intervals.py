"""Intervals and tests, paired over queries, by scipy."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """A paired difference of means with its 95 % interval and two-sided p-value."""

    value: float
    interval: tuple[float, float]
    p_value: float


def mean_interval(values: Float[np.ndarray, " Q"], seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval (BCa) of the mean over queries."""
    if np.ptp(values) == 0:  # every resample is the same, and BCa has no acceleration
        return float(values[0]), float(values[0])
    result = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, rng=np.random.default_rng(seed)
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def paired_difference(values: Float[np.ndarray, " Q"], others: Float[np.ndarray, " Q"], seed: int = 0) -> Difference:
    """Mean of `values - others` on the same queries: bootstrap interval, sign-flip permutation test."""
    difference = values - others
    if np.ptp(difference) == 0:
        return Difference(float(difference[0]), mean_interval(difference), 1.0 if difference[0] == 0 else 0.0)
    test = stats.permutation_test(
        (difference,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(seed),
    )
    return Difference(float(difference.mean()), mean_interval(difference, seed), float(test.pvalue))


def proportion_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % Clopper-Pearson interval of a proportion."""
    interval = stats.binomtest(successes, trials).proportion_ci(CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)


def interquartile_mean_interval(values: Float[np.ndarray, " S"], seed: int = 0) -> tuple[float, float, float]:
    """Interquartile mean over seeds with its 95 % percentile bootstrap interval (Agarwal et al. 2021)."""
    centre = float(stats.trim_mean(values, 0.25))
    if np.ptp(values) == 0:
        return centre, centre, centre
    result = stats.bootstrap(
        (values,),
        lambda sample, axis: stats.trim_mean(sample, 0.25, axis=axis),
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return centre, float(result.confidence_interval.low), float(result.confidence_interval.high)


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down adjustment over a declared family of hypotheses."""
    order = np.argsort(p_values)
    count, running, adjusted = len(p_values), 0.0, np.empty(len(p_values))
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted.tolist()


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
