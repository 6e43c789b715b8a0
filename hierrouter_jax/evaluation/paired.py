"""Two policies on the same queries, compared: their difference, its interval and p-value, and the verdict.

A verdict is made in one way everywhere. Each comparison gives a `Difference`: the paired difference of two means, with
the 95 % interval and the p-value of `evaluation.crossed`, for which seeds count as well as queries. All comparisons of
a family that was declared before anything was seen go to `verdicts` together, which corrects their p-values by Holm's
method. A difference counts where its interval excludes 0 and its corrected p-value is below .05.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from hierrouter_jax.evaluation.crossed import CrossedMean, crossed_mean, incomplete_mean
from hierrouter_jax.evaluation.intervals import CONFIDENCE, RESAMPLES

Word = Literal["better", "worse", "tied", "undecided"]

SIGNIFICANCE = round(1 - CONFIDENCE, 9)  # .05 itself, which a p-value of .05 is not below
TIE_MARGIN = 0.01  # one point, on a scale where quality is in [0, 1]


@dataclass(frozen=True)
class Difference:
    """A paired difference of two means, before any correction.

    Attributes:
      value: mean of the first policy minus mean of the second, where 1 is 100 points.
      interval: lower and upper bound of its 95 % interval.
      p_value: two-sided p-value; below .05 exactly where the interval excludes 0.
    """

    value: float
    interval: tuple[float, float]
    p_value: float


@dataclass(frozen=True)
class Verdict(Difference):
    """A difference, and what the family of comparisons that it belongs to allows to say of it.

    Attributes:
      p_holm: two-sided p-value, corrected over the family.
    """

    p_holm: float

    @property
    def counts(self) -> bool:
        """Whether the interval excludes 0 and the corrected p-value is below .05."""
        low, high = self.interval
        return (low > 0 or high < 0) and self.p_holm < SIGNIFICANCE

    @property
    def word(self) -> Word:
        """Better or worse where the difference counts; else tied where it is above -1 point for all we know.

        Everything else is undecided, which is a result.
        """
        if self.counts:
            return "better" if self.interval[0] > 0 else "worse"
        return "tied" if self.interval[0] > -TIE_MARGIN else "undecided"


def verdicts(family: Sequence[Difference]) -> list[Verdict]:
    """A verdict on each difference, their p-values corrected over all of them together."""
    corrected = holm([one.p_value for one in family])
    return [Verdict(one.value, one.interval, one.p_value, p) for one, p in zip(family, corrected, strict=True)]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment over a declared family of hypotheses."""
    order = np.argsort(p_values)
    count, running, adjusted = len(p_values), 0.0, np.empty(len(p_values))
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted.tolist()


def paired_difference(
    values: Float[np.ndarray, "*S Q"], others: Float[np.ndarray, "*S Q"], cluster: Int[np.ndarray, " Q"] | None = None
) -> Difference:
    """Mean of `values - others` on the same queries, and on the same S seeds where there are seeds.

    Where one side alone has seeds, as a learner beside a fixed opponent, the other is the same for all of them: [Q].
    Without seeds on either side it is a statement about these two policies, for queries like these.

    Args:
      cluster: cluster of each query; queries of one cluster are one piece of evidence. By default each is its own.
    """
    return difference_of(crossed_mean(np.atleast_2d(values - others), cluster))


def difference_of(mean: CrossedMean) -> Difference:
    """A single crossed mean of differences as the difference that it is."""
    return Difference(float(mean.value), (float(mean.low), float(mean.high)), float(mean.p_value))


@dataclass(frozen=True)
class Repeats:
    """S splits over Q queries, and how both are redrawn.

    Attributes:
      tested: whether each query is in each split's test part [S, Q].
      cluster: cluster of each query [Q], 0..C-1; queries of one cluster (duplicates of each other) are redrawn
        together.
      resamples: number of resamples of every bootstrap, R.
      seed: seed of the random draws; one draw serves every policy, so that differences are paired.
    """

    tested: Bool[np.ndarray, "S Q"]
    cluster: Int[np.ndarray, " Q"]
    resamples: int = RESAMPLES
    seed: int = 0

    def mean(self, values: Float[np.ndarray, "*B S Q"]) -> Float[np.ndarray, "*B"]:
        """Mean over splits of the mean over each one's test queries; what is not tested is ignored."""
        return self.by_split(values).mean(axis=-1)

    def by_split(self, values: Float[np.ndarray, "*B S Q"]) -> Float[np.ndarray, "*B S"]:
        """The mean over each split's test queries."""
        return np.where(self.tested, values, 0.0).sum(axis=-1) / self.tested.sum(axis=-1)

    def resampled(self, values: Float[np.ndarray, "*B S Q"]) -> Float[np.ndarray, "*B R"]:
        """`mean` in every resample: clusters of queries and splits are redrawn, each with replacement.

        A query that is drawn twice counts twice in every split that tests it, so that what it has in common from
        split to split is not taken for independent evidence. With one split this is the bootstrap over queries. A
        split of which a resample holds no query is left out of it.
        """
        by_cluster, by_split = self._weights
        flat = np.where(self.tested, values, 0.0).reshape(-1, *self.tested.shape)
        count = np.stack([self._gathered(tested) @ by_cluster.T for tested in self.tested.astype(float)])  # [S, R]
        held = count > 0
        weight = by_split.T * held
        weight = np.where(weight.sum(axis=0) > 0, weight, held)  # no drawn split has a drawn query: all that have
        weight = weight / weight.sum(axis=0)
        means = np.empty((len(flat), self.resamples))
        for row, one in enumerate(flat):
            total = np.stack([self._gathered(part) @ by_cluster.T for part in one])
            means[row] = (weight * total / np.maximum(count, 1e-12)).sum(axis=0)
        return means.reshape(*values.shape[:-2], -1)

    def difference(self, differences: Float[np.ndarray, "S Q"]) -> Difference:
        """`mean` of paired differences, with the interval and the p-value of splits crossed with queries."""
        return difference_of(incomplete_mean(differences, self.tested, self.cluster))

    def _gathered(self, values: Float[np.ndarray, " Q"]) -> Float[np.ndarray, " C"]:
        """Sums within each cluster that any split tests."""
        return np.bincount(self._position, weights=values, minlength=self._count)[: self._count]

    @cached_property
    def _position(self) -> Int[np.ndarray, " Q"]:
        """Of each query, its cluster among those that are tested; one beyond them where it is not."""
        tested = self.tested.any(axis=0)
        known = np.unique(self.cluster[tested])
        return np.where(tested, np.searchsorted(known, self.cluster), len(known))

    @cached_property
    def _count(self) -> int:
        return len(np.unique(self.cluster[self.tested.any(axis=0)]))

    @cached_property
    def _weights(self) -> tuple[Float[np.ndarray, "R C"], Float[np.ndarray, "R S"]]:
        rng = np.random.default_rng(self.seed)
        clusters, splits = self._count, len(self.tested)
        by_cluster = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=self.resamples)
        by_split = rng.multinomial(splits, np.full(splits, 1 / splits), size=self.resamples)
        return by_cluster.astype(float), by_split.astype(float)
