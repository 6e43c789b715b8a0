"""Policies judged on several splits of the same queries: intervals and tests clustered by query, nested over splits."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from hierrouter_jax.evaluation.intervals import RESAMPLES
from hierrouter_jax.evaluation.paired import flipped_means


@dataclass(frozen=True)
class Repeats:
    """S splits over Q queries, and how both are redrawn.

    Attributes:
      tested: whether a query is in a split's test part.
      cluster: queries of one cluster (duplicates of each other) are redrawn and flipped together; 0..C-1.
      resamples: R, of every bootstrap.
      seed: of the draws; one draw serves every policy, so that differences are paired.
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

    def flipped(self, differences: Float[np.ndarray, "K S Q"]) -> Float[np.ndarray, "P K"]:
        """`mean` of differences whose signs are flipped at random, a cluster's in all splits alike."""
        share = np.where(self.tested, differences, 0.0) / self.tested.sum(axis=-1)[:, None] / len(self.tested)
        by_cluster = np.stack([self._gathered(one) for one in share.sum(axis=1)])
        return flipped_means(by_cluster * by_cluster.shape[1], seed=self.seed)

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
