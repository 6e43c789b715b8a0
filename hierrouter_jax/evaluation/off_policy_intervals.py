"""Intervals of off-policy estimates: corrected for skewness, bootstrapped, and bounded by Bernstein's inequality."""

import chex
import numpy as np
from jaxtyping import Float

from hierrouter_jax.evaluation.intervals import CONFIDENCE, RESAMPLES, percentile_interval

_CLIPS = 2.0 ** np.arange(0, 13, 2)  # largest weights that empirical-Bernstein bounds are made with
_AT_ONCE = 50  # resamples that are drawn together


def skewness_interval(
    values: Float[np.ndarray, " E"], effective: float, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Interval of a mean of skewed values, as those of an estimate with large weights or rare wrong answers are.

    Hall's monotone transformation (1992, JRSS B 54, 221-228). With T = sqrt(E) (mean - mu) / s, a = skewness / sqrt(E),

        g(T) = T + a T^2 / 3 + a^2 T^3 / 27 + a / 6

    is normal to order 1/E where T is to order 1/sqrt(E). The bounds are those mu at which |g(T)| is the t-quantile of
    `effective` - 1 degrees of freedom.

    Args:
      values: contributions of E episodes, whose mean is the estimate.
      effective: effective sample size, of at least 2.
      confidence: probability with which the interval is to hold the mean, in (0, 1).
    """
    from scipy.special import stdtrit

    chex.assert_rank(values, 1)
    mean, spread, count = values.mean(), values.std(), len(values)
    if spread <= 1e-12 * max(1.0, abs(mean)):  # nothing but rounding
        return float(mean), float(mean)
    a = ((values - mean) ** 3).mean() / spread**3 / np.sqrt(count)
    quantile = stdtrit(max(effective - 1, 1.0), (1 + confidence) / 2)

    def inverse(y: float) -> float:
        return y if abs(a) < 1e-9 else float(3 / a * (np.cbrt(1 + a * (y - a / 6)) - 1))

    error = spread / np.sqrt(count)
    return float(mean - error * inverse(quantile)), float(mean - error * inverse(-quantile))


def bootstrap_interval(
    values: Float[np.ndarray, " E"], resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of the mean, episodes redrawn.

    Values of a self-normalised form are linearised, so that its denominator is redrawn to first order.
    """
    rng, count = np.random.default_rng(seed), len(values)
    means = [
        values[rng.integers(0, count, (min(_AT_ONCE, resamples - start), count))].mean(axis=1)
        for start in range(0, resamples, _AT_ONCE)
    ]
    low, high = percentile_interval(np.concatenate(means))
    return float(low), float(high)


def bernstein_interval(weight: Float[np.ndarray, " E"], quality: Float[np.ndarray, " E"]) -> tuple[float, float]:
    """Interval of the mean quality, in [0, 1], that covers at least 95 % of the time whatever the distribution.

    The quality's mean under the target is E[w q] = 1 - E[w (1 - q)], both of numbers above 0; cutting w to c lowers
    them. So each bound is an empirical-Bernstein lower bound (Maurer and Pontil 2009, COLT, theorem 4; for off-policy
    values Thomas, Theocharous and Ghavamzadeh 2015, AAAI) of cut numbers x in [0, c]:

        mean(x) - sqrt(2 var(x) ln(2 / d) / E) - 7 c ln(2 / d) / (3 (E - 1)).

    The best of 7 values of c counts, with d = .025 / 7 for each (union bound). Propensities must be exact.

    Args:
      weight: weight of each whole route.
      quality: quality of each answer.
    """
    chex.assert_equal_shape([weight, quality])
    return max(0.0, _lower(weight, quality)), min(1.0, 1 - _lower(weight, 1 - quality))


def _lower(weight: Float[np.ndarray, " E"], value: Float[np.ndarray, " E"]) -> float:
    count = len(weight)
    log = np.log(2 * len(_CLIPS) / ((1 - CONFIDENCE) / 2))
    cut = np.minimum(weight[:, None], _CLIPS) * value[:, None]
    slack = np.sqrt(2 * cut.var(axis=0, ddof=1) * log / count) + 7 * _CLIPS * log / (3 * (count - 1))
    return float((cut.mean(axis=0) - slack).max())
