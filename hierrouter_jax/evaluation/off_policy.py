"""Estimates of what a policy would reach, from episodes that another policy served (off-policy evaluation).

E episodes of at most L decisions each; pi is the policy that is asked about (the target), b the one that served.

    rho_t = pi(a_t | s_t) / b(a_t | s_t)    ratio of decision t, 1 where the episode is over
    w_t = rho_0 rho_1 ... rho_t             weight of the route up to decision t, w_{-1} = 1
    G = r_0 + r_1 + ...                     return; nothing is discounted

Every estimator gives E contributions. Their mean is the estimate, and their spread gives its standard error; for a
self-normalised form, which is a ratio of means, they are linearised (the delta method). Action values are arrays that
another module fits: q [E, L] of the action taken, v [E, L] their mean under pi; both are 0 where the episode is over.
A fit that has not seen the episode itself (cross-fitting) leaves the doubly robust forms unbiased.
"""

from collections.abc import Sequence
from typing import NamedTuple

import chex
import numpy as np
from jaxtyping import Float, Int

Decisions = Float[np.ndarray, "E L"]
Contributions = Float[np.ndarray, " E"]


def ratios(
    target: Float[np.ndarray, "E L A"],
    logged: Float[np.ndarray, "E L A"],
    action: Int[np.ndarray, "E L"],
    clip: float | None = None,
) -> Decisions:
    """rho_t of each decision.

    Args:
      target: probabilities of the target; equal to `logged` where the episode is over.
      logged: probabilities that the actions were drawn from.
      action: indices of the actions taken.
      clip: largest ratio; larger ones are cut to it, which trades bias for variance (Ionides 2008, JCGS 17).
    """
    chex.assert_equal_shape([target, logged])
    chex.assert_shape(action, target.shape[:2])
    at = action[..., None]
    rho = np.take_along_axis(target, at, axis=-1) / np.take_along_axis(logged, at, axis=-1)
    return np.minimum(rho[..., 0], np.inf if clip is None else clip)


def weights(ratio: Decisions) -> Decisions:
    """w_t after each decision; the last column is that of the whole route."""
    return np.cumprod(ratio, axis=1)


def importance_sampling(ratio: Decisions, reward: Decisions) -> Contributions:
    """Trajectory importance sampling: mean of w_{L-1} G (Precup, Sutton and Singh 2000, ICML). Unbiased."""
    chex.assert_equal_shape([ratio, reward])
    return weights(ratio)[:, -1] * reward.sum(axis=1)


def weighted_importance_sampling(ratio: Decisions, reward: Decisions) -> Contributions:
    """Self-normalised: sum of w_{L-1} G over the sum of w_{L-1} (Precup et al. 2000). Consistent; bias of order 1/E."""
    chex.assert_equal_shape([ratio, reward])
    return _self_normalised(weights(ratio)[:, -1], reward.sum(axis=1))


def per_decision_importance_sampling(ratio: Decisions, reward: Decisions) -> Contributions:
    """Mean of sum_t w_t r_t: a reward is weighed by what came before it alone (Precup et al. 2000). Unbiased."""
    chex.assert_equal_shape([ratio, reward])
    return (weights(ratio) * reward).sum(axis=1)


def per_decision_weighted_importance_sampling(ratio: Decisions, reward: Decisions) -> Contributions:
    """sum_t (sum_i w_it r_it / sum_i w_it): each decision normalised apart (Thomas 2015, CWPDIS). Consistent."""
    chex.assert_equal_shape([ratio, reward])
    return _self_normalised(weights(ratio), reward).sum(axis=1)


def direct_method(v: Decisions) -> Contributions:
    """Mean of v_0, which trusts the fit: no weight, and all of its bias."""
    return v[:, 0]


def doubly_robust(ratio: Decisions, reward: Decisions, q: Decisions, v: Decisions) -> Contributions:
    """Mean of v_0 + sum_t w_t (r_t + v_{t+1} - q_t) (Jiang and Li 2016, ICML; eq. 10 there, unrolled).

    Unbiased whatever q is, where propensities are exact; exact where q is.
    """
    return v[:, 0] + (weights(ratio) * surprise(reward, q, v)).sum(axis=1)


def weighted_doubly_robust(ratio: Decisions, reward: Decisions, q: Decisions, v: Decisions) -> Contributions:
    """Doubly robust with w_it over the mean of w_t at each decision (Thomas and Brunskill 2016, ICML, eq. 4).

    Consistent, with a bias of order 1/E; large weights cannot carry it far away.
    """
    return v[:, 0] + _self_normalised(weights(ratio), surprise(reward, q, v)).sum(axis=1)


def surprise(reward: Decisions, q: Decisions, v: Decisions) -> Decisions:
    """r_t + v_{t+1} - q_t: what a decision brought beyond what was expected of it."""
    chex.assert_equal_shape([reward, q, v])
    return reward + np.pad(v[:, 1:], ((0, 0), (0, 1))) - q


class Switch(NamedTuple):
    """A SWITCH estimate.

    Attributes:
      contributions: contribution of each episode.
      threshold: largest ratio that is still weighed.
      bias_bound: largest bias that leaving out larger ratios can have.
    """

    contributions: Contributions
    threshold: float
    bias_bound: float


def switch(
    target: Float[np.ndarray, "E L A"],
    logged: Float[np.ndarray, "E L A"],
    ratio: Decisions,
    reward: Decisions,
    q: Decisions,
    v: Decisions,
    spread: float,
    thresholds: Sequence[float] | None = None,
) -> Switch:
    """SWITCH-DR: doubly robust where the ratio is at most a threshold, the direct method beyond it.

    Ratios above the threshold count as 0 (Wang, Agarwal and Dudik 2017, ICML, section 4.2; here for each decision). The
    threshold is that of the least estimated error bound, variance + bias^2 (section 4.1 there), with

        bias <= spread * mean of sum_t w_{t-1} pi(actions of a ratio above the threshold | s_t).

    Args:
      spread: largest difference between two returns.
      thresholds: thresholds to choose among; by default 15, evenly spaced in their logarithms over the ratios there
        are, and infinity, which is `doubly_robust`.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(target > 0, target / logged, 0.0)
    if thresholds is None:
        largest = float(ratio.max())
        thresholds = [*np.geomspace(1.0, max(largest, 1.0), 15), np.inf]
    best: tuple[float, Switch] | None = None
    for threshold in thresholds:
        cut = np.where(ratio <= threshold, ratio, 0.0)
        contributions = doubly_robust(cut, reward, q, v)
        before = np.pad(weights(cut)[:, :-1], ((0, 0), (1, 0)), constant_values=1.0)
        beyond = np.where(each > threshold, target, 0.0).sum(axis=-1)
        bias = spread * float((before * beyond).sum(axis=1).mean())
        error = contributions.var() / len(contributions) + bias**2
        if best is None or error < best[0]:
            best = error, Switch(contributions, float(threshold), bias)
    assert best is not None
    return best[1]


def effective_sample_size(weight: Float[np.ndarray, "E *B"]) -> Float[np.ndarray, "*B"]:
    """(sum w)^2 / sum w^2: as many episodes with equal weights would tell as much (Kish 1965)."""
    total, squares = weight.sum(axis=0), (weight**2).sum(axis=0)
    return np.divide(total**2, squares, out=np.zeros_like(np.asarray(total, dtype=float)), where=squares > 0)


def _self_normalised(weight: Float[np.ndarray, "E *B"], value: Float[np.ndarray, "E *B"]) -> Float[np.ndarray, "E *B"]:
    """Contributions to sum w x / sum w, linearised: m + w (x - m) / mean(w) with the weighted mean m.

    All are 0 where every weight is.
    """
    mean = weight.mean(axis=0)
    scaled = np.divide(weight, mean, out=np.zeros_like(weight), where=mean > 0)
    centre = (scaled * value).mean(axis=0)
    return centre + scaled * (value - centre)
