"""Whether the propensities of a decision log are those that its actions were drawn with."""

from dataclasses import dataclass
from math import erfc

import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log.reader import DecisionLog
from hierrouter_jax.outcomes.exploration import Exploration, distribution

_LEAST_VARIANCE = 100.0  # of a bin's count, so that its distribution is close to normal


@dataclass(frozen=True)
class PropensityCheck:
    """Whether actions were taken as often as their logged propensities say, in B bins of the propensity.

    Attributes:
      low, high: smallest and largest propensity of each bin, [B].
      expected: sum of the propensities of each bin, [B].
      taken: number of actions of each bin that were taken, [B].
      z: difference of the two over its standard deviation, [B].
      p_value: probability of so large a |z| in any bin if the propensities are exact; 0 where an action of propensity
        0 was taken, or one of propensity 1 was not.
    """

    low: Float[np.ndarray, " B"]
    high: Float[np.ndarray, " B"]
    expected: Float[np.ndarray, " B"]
    taken: Int[np.ndarray, " B"]
    z: Float[np.ndarray, " B"]
    p_value: float


def propensity_check(probs: Float[np.ndarray, "N A"], action: Int[np.ndarray, " N"], bins: int = 10) -> PropensityCheck:
    """Compare how often actions were taken with their propensities, in bins of the propensity.

    A bin holds the pairs of a draw and an action whose propensity p lies in it. With P_i the sum of a draw's p in the
    bin, and T_i whether the action taken is one of them, z = sum_i (T_i - P_i) / sqrt(sum_i P_i (1 - P_i)). The edges
    give all bins the same share of sum p (1 - p), and depend on propensities alone; of the p-values the smallest
    counts, times the number of bins (Bonferroni). Fewer than `bins` are made where a bin's variance would be too small
    for a normal distribution.

    Args:
      probs: logged distributions of N draws, as `DecisionLog.draws` gives them.
      action: indices of the actions taken.
      bins: largest number of bins.

    Raises:
      InputError: if there is no draw.
    """
    if not len(probs):
        raise InputError("the log holds no decision, but its propensities can only be checked on decisions")
    row, column = np.nonzero((probs > 0) & (probs < 1))
    p = probs[row, column]
    order = np.argsort(p)
    share = np.cumsum((p * (1 - p))[order])
    count = max(min(bins, int(share[-1] / _LEAST_VARIANCE)), 2) if len(p) else 0
    edges = np.unique(p[order][np.searchsorted(share, share[-1] * np.arange(1, count) / count)]) if count else p
    place = np.searchsorted(edges, p)  # an edge belongs to the bin below it, as do all that are as large
    shape = len(probs), len(edges) + 1
    sums = np.bincount(row * shape[1] + place, weights=p, minlength=shape[0] * shape[1]).reshape(shape)
    taken = np.zeros(shape, dtype=bool)
    drawn = column == action[row]
    taken[row[drawn], place[drawn]] = True
    variance = (sums * (1 - sums)).sum(axis=0)
    used = variance > 1e-9
    difference = taken.sum(axis=0) - sums.sum(axis=0)
    z = difference[used] / np.sqrt(variance[used])
    likely = min(1.0, used.sum() * erfc(abs(z).max() / 2**0.5)) if used.any() else 1.0
    own = probs[np.arange(len(probs)), action]
    impossible = (own <= 0) | ((probs >= 1).any(axis=1) & (own < 1))
    ends = [(p[place == b].min(), p[place == b].max()) for b in np.flatnonzero(used)]
    return PropensityCheck(
        low=np.array([low for low, _ in ends]),
        high=np.array([high for _, high in ends]),
        expected=sums.sum(axis=0)[used],
        taken=taken.sum(axis=0)[used],
        z=z,
        p_value=0.0 if impossible.any() else likely,
    )


def replay(log: DecisionLog, bundle: PolicyBundle) -> Float[np.ndarray, "R A"]:
    """The distribution of every logged decision once more, from what the policy read, by the bundle's NumPy reader.

    Raises:
      InputError: if a decision is another policy's, or its mask allows what the policy never may.
    """
    others = log.column("policy") != bundle.fingerprint
    if others.any():
        raise InputError(
            f"the log's decision {int(np.argmax(others))} was made by the policy "
            f"{log.column('policy')[np.argmax(others)]}, but the bundle is {bundle.fingerprint}; choose its decisions"
        )
    mask, probs = log.matrix("mask").astype(bool), np.zeros(log.matrix("probs").shape)
    embedding, spent, budget = log.matrix("embedding"), log.column("spent"), log.column("budget")
    names = ("stage", "cost_weight", "explore")
    keys = list(zip(*(log.rows[name].to_pylist() for name in names), np.isnan(budget).tolist(), strict=True))
    for key in dict.fromkeys(keys):
        rows = np.array([other == key for other in keys])
        stage, cost_weight, explore, unlimited = key
        limits = {} if unlimited else {"budget": budget[rows], "charges": log.only(rows).matrix("charges")}
        logits = bundle.logits(embedding[rows], stage, spent[rows], cost_weight, **limits)
        if (mask[rows] & ~np.isfinite(logits)).any():
            raise InputError(f"a decision of stage {stage} could take an action that the policy's own mask forbids")
        probs[rows] = distribution(logits, mask[rows], Exploration.parse(explore), bundle.ties)
    return probs
