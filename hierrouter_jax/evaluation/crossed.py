"""The mean of values that seeds and queries cross: its 95 % interval and its p-value, which always agree.

With MS_s and MS_q the mean squares of seeds and of queries and MS_e that of the residual (S seeds, Q queries), the
variance of the mean is estimated in two parts,

    V_s = max(MS_s, MS_e) / (S Q),    V_q = max(MS_q - MS_e, 0) / (S Q),

and the half width at level alpha is sqrt(t(S-1, alpha)^2 V_s + t(Q-1, alpha)^2 V_q): each part keeps the quantile of
its own degrees of freedom. Of independent parts this covers at least as often as it says (Banerjee 1960, Sankhya 22);
it is the combination of the modified large-sample method (Graybill and Wang 1980; Burdick and Graybill 1992). That
MS_q - MS_e is a difference makes it approximate; `scripts/null_families.py` shows what comes of it. The random effects
are those of Owen (2007), whose pigeonhole bootstrap covers too seldom where seeds are few.

The two-sided p-value is the level at which the half width is as large as the mean. It is never below 2^(1-k), k the
number of queries that differ at all: the least that flipping their signs can give, however little they vary.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from hierrouter_jax.evaluation.intervals import CONFIDENCE

_LEAST = -300.0  # logarithm of the least level that is searched for
_HALVINGS = 60  # after which a level is known to a relative 1e-13
_ZERO = 1e-12  # below which a difference is rounding
_STEP = 1e-6  # of a mean that does not vary


class CrossedMean(NamedTuple):
    """Means, each with its interval and its p-value.

    Attributes:
      value: mean over seeds and queries.
      low, high: bounds of its 95 % interval.
      p_value: two-sided p-value of a mean of 0; below .05 exactly where the interval excludes 0.
    """

    value: Float[np.ndarray, "*B"]
    low: Float[np.ndarray, "*B"]
    high: Float[np.ndarray, "*B"]
    p_value: Float[np.ndarray, "*B"]


def crossed_mean(values: Float[np.ndarray, "*B S Q"], cluster: Int[np.ndarray, " Q"] | None = None) -> CrossedMean:
    """The mean of values, such as paired differences, on every seed and query.

    With one seed it is the t-test over queries: a statement about that one seed.

    Args:
      values: value of every seed on every query.
      cluster: cluster of each query; queries of one cluster (duplicates, replicates) are one piece of evidence. By
        default each query is its own.
    """
    values = np.asarray(values, dtype=float)
    seeds, queries = values.shape[-2:]
    label = np.arange(queries) if cluster is None else np.unique(cluster, return_inverse=True)[1]
    clusters = int(label.max()) + 1
    mean = values.mean(axis=(-2, -1))
    if clusters == queries:
        cells, sums = values, values.mean(axis=-2)
    else:  # what each cluster adds to the mean, linearised, as clusters differ in size
        belongs = np.eye(clusters)[label]
        centre = mean[..., None, None]
        cells, sums = centre + (values - centre) @ belongs * clusters / queries, values.mean(axis=-2) @ belongs
    over_seeds, over_queries = cells.mean(axis=-2), cells.mean(axis=-1)
    by_seed, by_query = np.zeros_like(mean), _variance(over_seeds)
    if seeds > 1:
        left = cells - over_seeds[..., None, :] - over_queries[..., None] + mean[..., None, None]
        residual = (left**2).sum(axis=(-2, -1)) / ((seeds - 1) * max(clusters - 1, 1) * seeds * clusters)
        by_seed = np.maximum(_variance(over_queries), residual)
        by_query = np.maximum(by_query - residual, 0.0)
    differ = (np.abs(sums) > _ZERO).sum(axis=-1)
    return _separate_t(mean, (by_seed, by_query), (seeds - 1, clusters - 1), differ)


def incomplete_mean(
    values: Float[np.ndarray, "S Q"], tested: Bool[np.ndarray, "S Q"], cluster: Int[np.ndarray, " Q"]
) -> CrossedMean:
    """The mean over splits of each one's mean over its own test queries.

    Components of variance are Henderson's (1953, method 3), which adjusts splits for queries and queries for splits;
    where every split tests every query they are those of `crossed_mean`. Where no query is tested twice, as in
    cross-validation, splits and queries cannot be told apart: it is the t-test over splits.

    Args:
      values: value of each query in each split; those that a split does not test are ignored.
      tested: whether a split tests a query; every split tests one.
      cluster: cluster of each query; queries of one cluster are one piece of evidence.
    """
    known = tested.any(axis=0)
    tested, values = tested[:, known], np.where(tested, values, 0.0)[:, known].astype(float)
    label = np.unique(cluster[known], return_inverse=True)[1]
    belongs = np.eye(int(label.max()) + 1)[label]
    held = tested @ belongs > 0  # [S, C]
    splits, clusters, count = *held.shape, held.sum()
    mean = (values.sum(axis=1) / tested.sum(axis=1)).mean()
    added = np.where(tested, values - mean, 0.0) @ belongs / tested.sum(axis=1, keepdims=True)
    cells = np.where(held, added * held.sum(axis=1, keepdims=True), 0.0)  # less the mean, linearised
    differ = (np.abs(values.sum(axis=0) @ belongs) > _ZERO).sum()
    if splits == 1:
        parts = np.zeros(()), _variance(cells[0])
        return _separate_t(mean, parts, (0, clusters - 1), differ)
    within_cluster = np.where(held, cells - cells.sum(axis=0) / held.sum(axis=0), 0.0)
    over_queries = cells.sum(axis=1, keepdims=True) / held.sum(axis=1, keepdims=True)
    within_split = np.where(held, cells - over_queries, 0.0)
    normal = np.diag(held.sum(axis=1)) - (held / held.sum(axis=0)) @ held.T
    adjusted = within_cluster.sum(axis=1)
    of_splits = adjusted @ np.linalg.pinv(normal, rtol=_ZERO, hermitian=True) @ adjusted
    rank = int(np.linalg.matrix_rank(normal, tol=_ZERO * count, hermitian=True))
    freedom = count - clusters - rank
    if freedom <= 0:
        pooled = (within_split**2).sum() / max(count - splits, 1) / count
        parts = np.maximum(_variance(over_queries[:, 0]), pooled), np.zeros(())
        return _separate_t(mean, parts, (splits - 1, clusters - 1), differ)
    left = max((within_cluster**2).sum() - of_splits, 0.0)
    residual = left / freedom
    split = max((of_splits - rank * residual) / (count - clusters), 0.0)
    query = max(((within_split**2).sum() - left - (clusters + rank - splits) * residual) / (count - splits), 0.0)
    weight = held / held.sum(axis=1, keepdims=True) / splits
    parts = np.asarray(split / splits + residual * (weight**2).sum()), query * (weight.sum(axis=0) ** 2).sum()
    return _separate_t(mean, parts, (splits - 1, clusters - 1), differ)


def linearised(
    statistic: Callable[[Float[np.ndarray, "*B K"]], Float[np.ndarray, "*B"]], values: Float[np.ndarray, "K S Q"]
) -> Float[np.ndarray, "S Q"]:
    """What each seed and query adds to a statistic of K means; their mean is the statistic.

    The delta method: a crossed mean of these has the statistic's interval. Slopes are taken over one standard error to
    either side, so that a corner of the statistic that is no farther away is seen.
    """
    means = values.mean(axis=(1, 2))
    error = np.sqrt(_variance(values.mean(axis=2)) + _variance(values.mean(axis=1)))
    step = np.maximum(error, _STEP * np.maximum(np.abs(means), _STEP))
    beside = np.diag(step)
    slopes = (statistic(means + beside) - statistic(means - beside)) / (2 * step)
    return statistic(means) + np.tensordot(slopes, values - means[:, None, None], axes=1)


def _variance(values: Float[np.ndarray, "*B n"]) -> Float[np.ndarray, "*B"]:
    """Variance of the mean of the last axis; 0 of one value, whose p-value the number of queries bounds."""
    count = values.shape[-1]
    return values.var(axis=-1, ddof=1) / count if count > 1 else np.zeros(values.shape[:-1])


def _separate_t(
    mean: Float[np.ndarray, "*B"],
    parts: tuple[Float[np.ndarray, "*B"], Float[np.ndarray, "*B"]],
    freedom: tuple[int, int],
    differ: Int[np.ndarray, "*B"],
) -> CrossedMean:
    """Interval and p-value from two parts of the variance of a mean, each with its degrees of freedom.

    Args:
      differ: number of clusters whose mean is not 0, k.
    """
    from scipy.special import stdtrit

    mean, by_seed, by_query = np.broadcast_arrays(np.asarray(mean, float), *parts)

    def half_width(alpha: Float[np.ndarray, "*B"]) -> Float[np.ndarray, "*B"]:
        terms = (
            stdtrit(df, alpha / 2) ** 2 * part for df, part in zip(freedom, (by_seed, by_query), strict=True) if df
        )
        return np.sqrt(sum(terms, np.zeros(mean.shape)))

    size = np.abs(mean)
    low, high = np.full(mean.shape, _LEAST), np.zeros(mean.shape)  # logarithms of levels
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        wide = half_width(np.exp(middle)) > size
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    level = np.where(size > _ZERO, np.exp(high), 1.0)
    p_value = np.maximum(level, np.minimum(1.0, 2.0 ** (1 - np.asarray(differ, float))))
    width = half_width(np.full(mean.shape, 1 - CONFIDENCE))
    width = np.where(p_value >= 1 - CONFIDENCE, np.maximum(width, size), width)  # too few queries differ
    return CrossedMean(mean, mean - width, mean + width, p_value)
