"""Action values fitted on a log: ridge regressions in closed form, backwards over the stages, cross-fitted."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

FOLDS = 5
_OWN_MEAN = 5.0  # episodes' worth of the stage's mean that an action's mean is pulled towards


class FittedValues(NamedTuple):
    """Action values of a target policy at logged decisions, each by a fit that has not seen the episode.

    Attributes:
      q: value of the action taken, [E, L, K] for K signals; 0 where the episode is over.
      v: mean value of the target's actions, [E, L, K]; 0 where the episode is over.
    """

    q: Float[np.ndarray, "E L K"]
    v: Float[np.ndarray, "E L K"]


def fit_values(
    features: Float[np.ndarray, "E L F"],
    taken: Bool[np.ndarray, "E L"],
    action: Int[np.ndarray, "E L"],
    target: Float[np.ndarray, "E L A"],
    reward: Float[np.ndarray, "E L K"],
    fold: Int[np.ndarray, " E"],
    penalty: float,
) -> FittedValues:
    """Fitted Q evaluation (Le, Voloshin and Yue 2019, ICML), one ridge regression a stage and action.

    From the last stage back, q_t(s, a) is regressed on r_t + v_{t+1}, with v_t(s) = sum_a pi(a | s) q_t(s, a). For each
    fold all stages are fitted on the other folds (Chernozhukov et al. 2018, Econometrics Journal 21).

    Args:
      features: features of the context at each decision, of unit spread together; without a constant.
      target: probabilities of the target policy.
      reward: reward of each decision in K signals, such as quality and cost.
      fold: number of the fold of each episode.
      penalty: ridge penalty of every weight; the constant has a small one, towards the stage's mean.
    """
    episodes, length, actions = target.shape
    q = np.zeros((episodes, length, reward.shape[-1]))
    v = np.zeros_like(q)
    ones = np.ones((*features.shape[:2], 1))
    x = np.concatenate([ones, features], axis=2)
    diagonal = np.full(x.shape[2], penalty)
    diagonal[0] = _OWN_MEAN
    rows_of = [[np.flatnonzero(taken[:, t] & (action[:, t] == a)) for a in range(actions)] for t in range(length)]
    for number in np.unique(fold):
        ahead, own = np.zeros((episodes, reward.shape[-1])), fold == number
        for stage in reversed(range(length)):
            here = taken[:, stage]
            goal = reward[:, stage] + ahead
            learned = here & ~own
            mean = goal[learned].mean(axis=0) if learned.any() else np.zeros(reward.shape[-1])
            values = np.zeros((episodes, actions, reward.shape[-1]))
            for index in range(actions):
                rows = rows_of[stage][index]
                rows = rows[~own[rows]]
                some = x[rows, stage]
                kernel = np.linalg.solve(some.T @ some + np.diag(diagonal), some.T @ (goal[rows] - mean))
                values[here, index] = mean + x[here, stage] @ kernel
            ahead = np.einsum("ea,eak->ek", target[:, stage], values) * here[:, None]
            chosen = np.take_along_axis(values, action[:, stage, None, None], axis=1)[:, 0]
            q[own, stage] = (chosen * here[:, None])[own]
            v[own, stage] = ahead[own]
    return FittedValues(q, v)
