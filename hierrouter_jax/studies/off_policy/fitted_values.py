"""Action values of a target policy fitted on a log: weighted ridge regressions backwards over stages, cross-fitted."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from hierrouter_jax.evaluation.off_policy import weights

FOLDS = 5
COMPONENTS = 96  # most principal components of the logged embeddings that values are fitted on
PENALTY = 0.1  # ridge penalty of every feature; squared spreads of all components add up to 1
_CONSTANT = 5.0  # penalty of an action's constant: as if so many more episodes had the stage's mean
_TINY = 1e-12
_SAMPLE = 4096  # contexts that the components are fitted on


class FittedValues(NamedTuple):
    """Values of a target policy at logged decisions, each by a fit that has not seen the episode.

    Attributes:
      q: value of the action taken, [E, L, K] for K signals; 0 where the episode is over.
      v: mean value of the target's actions, [E, L, K]; 0 where the episode is over.
    """

    q: Float[np.ndarray, "E L K"]
    v: Float[np.ndarray, "E L K"]


def context_features(
    embedding: Float[np.ndarray, "E L X"],
    taken: Bool[np.ndarray, "E L"],
    spent: Float[np.ndarray, "E L"],
    components: int = COMPONENTS,
) -> Float[np.ndarray, "E L F"]:
    """What values are fitted on: a constant, the money spent, and principal components of the context.

    Args:
      embedding: logged embeddings of the contexts.
      taken: whether each decision was made.
      spent: money spent before each decision, over the cost normaliser.
      components: largest number of components.
    """
    rows = embedding[taken].astype(np.float64)
    some = rows[:: max(1, len(rows) // _SAMPLE)]
    mean = some.mean(axis=0)
    _, vectors = np.linalg.eigh((some - mean).T @ (some - mean))
    reduced = (rows - mean) @ vectors[:, ::-1][:, :components]
    reduced /= np.sqrt((reduced**2).sum(axis=1).mean()) or 1.0
    context = np.zeros((*taken.shape, reduced.shape[1]))
    context[taken] = reduced
    scale = float(np.sqrt((spent[taken] ** 2).mean())) or 1.0
    return np.concatenate([np.ones((*taken.shape, 1)), spent[..., None] / scale, context], axis=2)


def fit_values(
    features: Float[np.ndarray, "E L F"],
    taken: Bool[np.ndarray, "E L"],
    action: Int[np.ndarray, "E L"],
    target: Float[np.ndarray, "E L A"],
    ratio: Float[np.ndarray, "E L"],
    reward: Float[np.ndarray, "E L K"],
    fold: Int[np.ndarray, " E"],
    penalty: float = PENALTY,
) -> FittedValues:
    """Fitted Q evaluation (Le, Voloshin and Yue 2019, ICML), one ridge regression in closed form a stage and action.

    From the last stage back, q_t(s, a) is regressed on r_t + v_{t+1}, with v_t(s) = sum_a pi(a | s) q_t(s, a). A row
    counts with its weight w_t, so that the fit is good where the target goes (Farajtabar et al. 2018, ICML, weigh
    likewise); all weights of a stage are scaled to add up to their effective number. For each fold all stages are
    fitted on the other folds alone (cross-fitting: Chernozhukov et al. 2018, Econometrics Journal 21).

    Args:
      features: features of each decision, as `context_features` gives them, or the first of them.
      target: probabilities of the target policy, any where the episode is over.
      ratio: ratio of each decision, 1 where the episode is over.
      reward: reward of each decision in K signals, such as quality and cost.
      fold: number of the fold of each episode.
      penalty: ridge penalty of every feature but the constant.
    """
    episodes, length, actions = target.shape
    q, v = np.zeros((episodes, length, reward.shape[-1])), np.zeros((episodes, length, reward.shape[-1]))
    weight = weights(ratio) * taken
    folds = int(fold.max()) + 1
    chosen = (action[..., None] == np.arange(actions)) & taken[..., None]
    needed = chosen | ((target > 0) & taken[..., None])
    parts = [
        [
            _part(features[:, stage], weight[:, stage], fold, folds, chosen[:, stage, index], needed[:, stage, index])
            for index in range(actions)
        ]
        for stage in range(length)
    ]
    diagonal = np.full(features.shape[2], penalty)
    diagonal[0] = _CONSTANT
    for number in range(folds):
        ahead, own = np.zeros((episodes, reward.shape[-1])), fold == number
        for stage in reversed(range(length)):
            goal = reward[:, stage] + ahead
            others = np.where(own, 0.0, weight[:, stage])
            total = max(others.sum(), _TINY)
            scale = total / max((others**2).sum(), _TINY)  # so that weights add up to their effective number
            mean = others @ goal / total
            values = np.zeros((episodes, actions, reward.shape[-1]))
            for index, part in enumerate(parts[stage]):
                gram = scale * (part.grams.sum(axis=0) - part.grams[number])
                aim = scale * part.x.T @ (others[part.rows, None] * (goal[part.rows] - mean))
                kernel = np.linalg.solve(gram + np.diag(diagonal), aim)
                values[part.needed, index] = mean + features[part.needed, stage] @ kernel
            here = taken[:, stage, None]
            ahead = (target[:, stage, :, None] * values).sum(axis=1) * here
            own_action = np.take_along_axis(values, action[:, stage, None, None], axis=1)[:, 0] * here
            q[own, stage], v[own, stage] = own_action[own], ahead[own]
    return FittedValues(q, v)


class _Part(NamedTuple):
    """What the fits of one stage and action share: rows that took it, that need its value, and Gram matrices."""

    rows: Int[np.ndarray, " R"]
    needed: Int[np.ndarray, " P"]
    x: Float[np.ndarray, "R F"]
    grams: Float[np.ndarray, "K F F"]


def _part(
    x: Float[np.ndarray, "E F"],
    weight: Float[np.ndarray, " E"],
    fold: Int[np.ndarray, " E"],
    folds: int,
    chosen: Bool[np.ndarray, " E"],
    needed: Bool[np.ndarray, " E"],
) -> _Part:
    rows = np.flatnonzero(chosen & (weight > 0))
    grams = np.empty((folds, x.shape[1], x.shape[1]))
    for number in range(folds):
        some = rows[fold[rows] == number]
        grams[number] = x[some].T @ (x[some] * weight[some, None])
    return _Part(rows, np.flatnonzero(needed), x[rows], grams)
