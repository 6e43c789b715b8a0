"""Whether a new policy may replace the one that serves: a lower bound of its gain, corrected for repeated looks."""

from math import log, pi

import chex
import numpy as np
from jaxtyping import Float, Int

_MOST_STAKE = 0.75  # of what is there, on one value
_HALVINGS = 40  # of the interval that the bound is searched in


def level_of_look(look: int, level: float) -> float:
    """Share of an error level that the look of that number, from 1 on, may spend: level x 6 / (pi look)^2.

    The shares of all looks add up to the level, however many there will be (a union bound; 1 + 1/4 + 1/9 + ... is
    pi^2 / 6).
    """
    if look < 1:
        raise ValueError(f"looks are counted from 1, not {look}")
    return level * 6 / (pi * look) ** 2


def gain_contributions(
    weight: Float[np.ndarray, " E"], returns: Float[np.ndarray, " E"], most: float
) -> Float[np.ndarray, " E"]:
    """Gain of a policy over the one that served, an episode each: (min(w, most) - 1) x return.

    Cutting a weight never raises the mean where returns are at least 0: the gain is then estimated too low, never too
    high on average (Ionides 2008; Bottou et al. 2013).

    Args:
      weight: product of the ratios of the two policies' probabilities along each episode's route.
      returns: return of each episode, at least 0.
      most: largest weight that counts in full.
    """
    chex.assert_equal_shape([weight, returns])
    if (returns < 0).any():
        raise ValueError("returns below 0 are to be raised first: a cut weight would overstate the gain")
    return (np.minimum(weight, most) - 1) * returns


def wealth(
    values: Float[np.ndarray, " G"], mean: float, low: float, high: float, level: float
) -> Float[np.ndarray, " G"]:
    """Capital of a gambler after each value who bets that the mean is above `mean`: prod_i 1 + stake_i (x_i - mean).

    If it is not, the capital is a supermartingale of expectation 1 at most: it ever exceeds 1 / level with a
    probability of at most `level` (Ville's inequality). Stakes depend on earlier values alone, sqrt(2 log(1 / level) /
    (G variance_{i-1})), and never put all at risk (Waudby-Smith and Ramdas, arXiv 2010.09686).

    Args:
      values: independent values of one mean, of any distribution within [low, high], in the order in which they came.
    """
    count, first = np.arange(1, len(values) + 1), (high - low) / 2
    running = (low + first + np.cumsum(values)) / (count + 1)
    variance = (first**2 + np.cumsum((values - running) ** 2)) / (count + 1)
    before = np.concatenate([[first**2], variance[:-1]])
    stake = np.minimum(np.sqrt(2 * log(1 / level) / (len(values) * before)), _MOST_STAKE / max(mean - low, 1e-12))
    return np.cumprod(1 + stake * (values - mean))


def lower_bound(values: Float[np.ndarray, " G"], low: float, high: float, level: float) -> float:
    """One-sided bound of the mean, wrong with a probability of at most `level`: the least mean that bets do not refute.

    It is found by halving, as the capital of `wealth` falls where the mean that it bets against rises.
    """
    below, above = low, high
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        refuted = len(values) > 0 and wealth(values, middle, low, high, level).max() >= 1 / level
        below, above = (middle, above) if refuted else (below, middle)
    return below


def may_replace(
    weight: Float[np.ndarray, " E"],
    returns: Float[np.ndarray, " E"],
    question: Int[np.ndarray, " E"],
    look: int,
    level: float = 0.05,
    most: float = 10.0,
) -> tuple[bool, float]:
    """Whether the lower bound of the gain is above 0, and the bound.

    Episodes of one question are not independent, so that their mean counts as one value. Over all looks together a
    policy that is no better passes with a probability of at most `level`, if each look is at questions that the policy
    was not trained on.

    Args:
      weight: product of the ratios along the route of each episode that the present policy served.
      returns: return of each of these episodes, in [0, 1].
      question: number of the question that each of them asked.
      look: number of this look, from 1 on.
    """
    gains = gain_contributions(weight, returns, most)
    _, first, row = np.unique(question, return_index=True, return_inverse=True)
    means = np.bincount(row, gains) / np.bincount(row) if len(gains) else gains
    bound = lower_bound(means[np.argsort(first)], -1.0, most - 1, level_of_look(look, level))
    return bound > 0, bound
