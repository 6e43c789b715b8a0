"""Whether a new policy may replace the one that serves: a lower bound of its gain, corrected for repeated looks."""

from math import log, pi, sqrt

import chex
import numpy as np
from jaxtyping import Float


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


def lower_bound(values: Float[np.ndarray, " E"], spread: float, level: float) -> float:
    """One-sided empirical-Bernstein bound of the mean, wrong with a probability of at most `level`.

    mean - sqrt(2 variance log(2 / level) / E) - 7 spread log(2 / level) / (3 (E - 1)) (Maurer and Pontil 2009, theorem
    4), for independent values of any distribution within an interval of length `spread`.
    """
    if len(values) < 2:
        return -np.inf
    logarithm = log(2 / level)
    error = sqrt(2 * float(values.var(ddof=1)) * logarithm / len(values))
    return float(values.mean()) - error - 7 * spread * logarithm / (3 * (len(values) - 1))


def may_replace(
    weight: Float[np.ndarray, " E"],
    returns: Float[np.ndarray, " E"],
    look: int,
    level: float = 0.05,
    most: float = 10.0,
) -> tuple[bool, float]:
    """Whether the lower bound of the gain is above 0, and the bound.

    Over all looks together a policy that is no better passes with a probability of at most `level`, if each look
    is at episodes that the policy was not trained on.

    Args:
      weight: product of the ratios along the route of each episode that the present policy served.
      returns: return of each of these episodes, in [0, 1].
      look: number of this look, from 1 on.
    """
    bound = lower_bound(gain_contributions(weight, returns, most), most, level_of_look(look, level))
    return bound > 0, bound
