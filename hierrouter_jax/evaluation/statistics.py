"""Intervals and tests, paired over queries, by scipy."""

from dataclasses import dataclass

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
