"""Estimates over queries or over seeds with their 95 % intervals; scipy.stats, slow to load, only where it is used."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

RESAMPLES = 2000  # of every bootstrap, unless a configuration says otherwise
CONFIDENCE = 0.95
TAILS = (2.5, 97.5)  # percentiles that bound a 95 % interval
_ROUNDING = 1e-12  # of the largest value: by how much equal ones may differ
_AT_ONCE = 2_000_000  # numbers held at a time


def mean_interval(values: Float[np.ndarray, " Q"], seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval (BCa) of the mean over queries."""
    if np.ptp(values) <= _ROUNDING * np.abs(values).max():  # every resample is the same, and BCa has no acceleration
        return float(values.min()), float(values.max())
    from scipy import stats

    result = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=max(1, _AT_ONCE // len(values)),  # else BCa's jackknife is one array [Q, Q]
        confidence_level=CONFIDENCE,
        rng=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def proportion_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % Clopper-Pearson interval of a proportion."""
    from scipy import stats

    interval = stats.binomtest(successes, trials).proportion_ci(CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)


def interquartile_mean(values: Float[np.ndarray, "*B"], axis: int | None = None) -> Float[np.ndarray, "*C"]:
    """Mean of the middle half along an axis, or of all values: a quarter is trimmed at each end, rounded down.

    Not a number where any of the values is none, so that a failed run is never trimmed away.
    """
    if axis is None:
        values, axis = np.ravel(values), 0
    trimmed, last = values.shape[axis] // 4, values.shape[axis] - values.shape[axis] // 4 - 1
    middle = np.moveaxis(np.partition(values, (trimmed, last), axis), axis, 0)[trimmed : last + 1]
    return np.where(np.isnan(values).any(axis=axis), np.nan, middle.mean(axis=0))[()]


def interquartile_mean_interval(values: Float[np.ndarray, " S"], seed: int = 0) -> tuple[float, float, float]:
    """Interquartile mean over seeds with its 95 % percentile bootstrap interval (Agarwal et al. 2021)."""
    centre = float(interquartile_mean(values))
    if np.ptp(values) == 0:
        return centre, centre, centre
    from scipy import stats

    result = stats.bootstrap(
        (values,),
        interquartile_mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return centre, float(result.confidence_interval.low), float(result.confidence_interval.high)


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


def interquartile_mean_estimate(
    scores: Float[np.ndarray, "S K *B"], resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Interquartile mean with its stratified bootstrap interval: runs are redrawn within each stratum.

    Args:
      scores: results of S runs on K strata, such as tasks or cost weights; any axes after these two, such as the
        updates of a learning curve, are redrawn together.
    """
    rows = _redrawn(scores.shape[:2], resamples, np.random.default_rng(seed))
    drawn = scores[rows, np.arange(scores.shape[1])]  # [R, S, K, *B]
    means = interquartile_mean(drawn.reshape(resamples, -1, *scores.shape[2:]), axis=1)
    middle = interquartile_mean(scores.reshape(-1, *scores.shape[2:]), axis=0)
    return Estimate(middle, *percentile_interval(means))


def probability_of_improvement_estimate(
    x: Float[np.ndarray, "S K"], y: Float[np.ndarray, "T K"], resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """P(X > Y) + P(X = Y) / 2 for a run of each drawn at random, averaged over the strata: Mann-Whitney's U / (S T).

    For its interval, runs of both are redrawn independently within each stratum.
    """
    rng = np.random.default_rng(seed)
    strata = np.arange(x.shape[1])
    drawn = [scores[_redrawn(scores.shape, resamples, rng), strata] for scores in (x, y)]
    return Estimate(np.asarray(_improvement(x, y)), *percentile_interval(_improvement(*drawn)))


def _redrawn(shape: tuple[int, ...], resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Rows [R, S, K] of resamples with replacement, drawn apart for each stratum."""
    return rng.integers(0, shape[0], size=(resamples, *shape))


def _improvement(x: Float[np.ndarray, "*R S K"], y: Float[np.ndarray, "*R T K"]) -> Float[np.ndarray, "*R"]:
    left, right = x[..., :, None, :], y[..., None, :, :]
    return ((left > right) + 0.5 * (left == right)).mean(axis=(-3, -2, -1))


def seed_interval(values: Float[np.ndarray, "S *B"]) -> Estimate:
    """Mean over S independent seeds with its 95 % t-interval; of one seed the bounds are not numbers."""
    from scipy.special import stdtrit

    count, mean = len(values), values.mean(axis=0)
    if count < 2:
        return Estimate(mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan))
    error = stdtrit(count - 1, (1 + CONFIDENCE) / 2) * values.std(axis=0, ddof=1) / np.sqrt(count)
    return Estimate(mean, mean - error, mean + error)
