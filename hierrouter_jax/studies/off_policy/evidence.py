"""What logged episodes say of a policy that did not serve them, by every estimator, and when they cannot say it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from hierrouter_jax.evaluation import off_policy
from hierrouter_jax.evaluation.intervals import CONFIDENCE
from hierrouter_jax.evaluation.off_policy import effective_sample_size
from hierrouter_jax.evaluation.off_policy_intervals import skewness_interval
from hierrouter_jax.outcomes.episodes import Episodes
from hierrouter_jax.studies.off_policy.fitted_values import (
    FOLDS,
    FittedValues,
    context_features,
    fit_values,
)

DEFAULT = "weighted-doubly-robust"
LEAST_SAMPLE = 50.0  # effective episodes below which no interval covers what it says
LEAST_ANSWERS = 5.0  # effective wrong answers, or right ones if these are fewer: below, errors may not have been seen
MOST_UNSUPPORTED = 0.01  # share of the target's routes that the log seldom or never could have taken
EPISODES_A_COMPONENT, FEWEST_COMPONENTS = 10.0, 8  # values are fitted on as many components as the sample bears
SELDOM = 10.0  # expected number of times, had every episode come there, below which an action counts as never taken


@dataclass(frozen=True)
class Evidence:
    """Logged episodes beside what a target policy would have done at their decisions.

    Attributes:
      episodes: episodes that came to an end and whose quality is known.
      target: probabilities of the target, [E, L, A]; as logged where the episode is over.
      ratio: ratio of each decision, cut where a largest is set, [E, L].
      uncut: the same as it is, [E, L].
      reward: quality at the last decision, and cost over the normaliser, [E, L, 2].
      fitted: values of both, fitted on the other episodes.
      components: number of principal components that they were fitted on.
    """

    episodes: Episodes
    target: Float[np.ndarray, "E L A"]
    ratio: Float[np.ndarray, "E L"]
    uncut: Float[np.ndarray, "E L"]
    reward: Float[np.ndarray, "E L 2"]
    fitted: FittedValues
    components: int

    @cached_property
    def weight(self) -> Float[np.ndarray, "E L"]:
        """Weight of the route up to each decision."""
        return off_policy.weights(self.ratio)

    @cached_property
    def before(self) -> Float[np.ndarray, "E L"]:
        """Weight of the route before each decision: how often the target comes there, for once that the log did."""
        return np.pad(self.weight[:, :-1], ((0, 0), (1, 0)), constant_values=1.0)

    @cached_property
    def quality(self) -> Float[np.ndarray, " E"]:
        """Quality of each answer."""
        return self.reward[..., 0].sum(axis=1)

    @property
    def same(self) -> bool:
        """Whether the target is the policy that served: no weight differs from 1."""
        return bool((abs(self.ratio - 1) < 1e-9).all())

    @cached_property
    def effective(self) -> float:
        """Effective sample size."""
        return float(effective_sample_size(self.weight[:, -1]))

    @cached_property
    def effective_answers(self) -> dict[str, float]:
        """Effective numbers of wrong and of right answers."""
        last = self.weight[:, -1]
        parts = {"wrong": 1 - self.quality, "right": self.quality}
        return {name: float(effective_sample_size(last * part)) for name, part in parts.items()}

    @cached_property
    def unsupported(self) -> Float[np.ndarray, "E L"]:
        """Share of the target's routes that leave, at each decision, for an action that the log can hardly have taken.

        That is one of a logged probability below `SELDOM` over the number of episodes.
        """
        seldom = self.episodes.probs < SELDOM / len(self.episodes)
        missing = np.where(seldom, self.target, 0.0).sum(axis=-1) * self.episodes.taken
        return self.before * missing

    def logged(self, signal: Sequence[float]) -> Float[np.ndarray, " E"]:
        """What each episode reached: its signal, a weighing of quality and cost."""
        return self.reward.sum(axis=1) @ np.asarray(signal)

    def contributions(self, signal: Sequence[float], estimator: str = DEFAULT) -> Float[np.ndarray, " E"]:
        """Contributions of each episode to the estimate of a signal.

        A policy that is the one that served has the plain mean, by whichever estimator.

        Args:
          signal: weights of quality and of cost over the normaliser: (1, 0), (0, 1), or (1, -cost weight).
          estimator: name of an estimator of `ESTIMATORS`.
        """
        if self.same:
            return self.logged(signal)
        return ESTIMATORS[estimator](self, np.asarray(signal, dtype=float))

    def interval(self, values: Float[np.ndarray, " E"], confidence: float = CONFIDENCE) -> tuple[float, float]:
        """The default interval of the mean of contributions, or of a difference of contributions.

        What F components fitted on the same log add to the error is of order F over the effective sample, and the
        spread of contributions shows only a part of it. So the interval for skewed values is widened by
        sqrt(1 + F / effective sample), which `scripts/off_policy_study.py` showed to be enough.

        Args:
          values: contributions of each episode.
          confidence: probability with which the interval is to hold the mean, in (0, 1).
        """
        low, high = skewness_interval(values, self.effective, confidence)
        if self.same:
            return low, high
        mean, wider = float(values.mean()), float(np.sqrt(1 + self.components / max(self.effective, 1.0)))
        return mean - wider * (mean - low), mean + wider * (high - mean)


Estimator = Callable[[Evidence, Float[np.ndarray, " 2"]], Float[np.ndarray, " E"]]


Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # ratio, reward, q and v, each [E, L]


def _arrays(of: Evidence, signal: Float[np.ndarray, " 2"]) -> Arrays:
    return of.ratio, of.reward @ signal, of.fitted.q @ signal, of.fitted.v @ signal


def _switch(of: Evidence, signal: Float[np.ndarray, " 2"]) -> Float[np.ndarray, " E"]:
    spread = float(np.ptp(of.logged(signal.tolist())))
    probs = np.where(of.episodes.taken[..., None], of.episodes.probs, of.target)
    return off_policy.switch(of.target, probs, *_arrays(of, signal), spread).contributions


ESTIMATORS: dict[str, Estimator] = {
    "importance-sampling": lambda of, signal: off_policy.importance_sampling(*_arrays(of, signal)[:2]),
    "weighted-importance-sampling": lambda of, signal: off_policy.weighted_importance_sampling(
        *_arrays(of, signal)[:2]
    ),
    "per-decision": lambda of, signal: off_policy.per_decision_importance_sampling(*_arrays(of, signal)[:2]),
    "weighted-per-decision": lambda of, signal: off_policy.per_decision_weighted_importance_sampling(
        *_arrays(of, signal)[:2]
    ),
    "direct": lambda of, signal: off_policy.direct_method(_arrays(of, signal)[3]),
    "doubly-robust": lambda of, signal: off_policy.doubly_robust(*_arrays(of, signal)),
    DEFAULT: lambda of, signal: off_policy.weighted_doubly_robust(*_arrays(of, signal)),
    "switch": _switch,
}


def usable(episodes: Episodes) -> Bool[np.ndarray, " E"]:
    """Whether an episode came to an end and has feedback."""
    return episodes.ended & np.isfinite(episodes.quality)


def weigh(
    episodes: Episodes,
    target: Float[np.ndarray, "E L A"],
    cost_normaliser: float,
    clip: float | None = None,
    seed: int = 0,
    features: Float[np.ndarray, "E L F"] | None = None,
) -> Evidence:
    """Weigh episodes for a target policy, and fit its values on them.

    Args:
      episodes: episodes that are all `usable`.
      target: probabilities of the target at each decision; rows of decisions sum to 1.
      cost_normaliser: money that counts as a cost of 1.
      clip: largest ratio of a decision.
      seed: seed of the folds.
      features: features of the decisions, where they are at hand; by default `context_features`.
    """
    taken = episodes.taken
    target = np.where(taken[..., None], target, 0.0)
    target[..., 0] += ~taken
    probs = np.where(taken[..., None], episodes.probs, target)
    ratio, uncut = (off_policy.ratios(target, probs, episodes.action, most) for most in (clip, None))
    cost = episodes.cost / cost_normaliser
    last = taken & ~np.pad(taken[:, 1:], ((0, 0), (0, 1)))
    reward = np.stack([np.where(last, episodes.quality[:, None], 0.0), cost], axis=-1)
    if features is None:
        features = context_features(episodes.embedding, taken, episodes.spent / cost_normaliser)
    effective = float(effective_sample_size(off_policy.weights(ratio)[:, -1]))
    components = int(np.clip(effective / EPISODES_A_COMPONENT, FEWEST_COMPONENTS, features.shape[2] - 2))
    fold = np.random.default_rng(seed).permutation(len(episodes)) % FOLDS
    part = np.ascontiguousarray(features[..., : 2 + components])
    fitted = fit_values(part, taken, episodes.action, target, ratio, reward, fold)
    return Evidence(episodes, target, ratio, uncut, reward, fitted, components)


def reasons_to_refuse(of: Evidence) -> list[str]:
    """Why the log cannot answer, one sentence each; none where it can.

    It answers where the effective sample is at least `LEAST_SAMPLE`, the effective number of wrong answers, and that
    of right ones, at least `LEAST_ANSWERS`, and at most `MOST_UNSUPPORTED` of the target's routes take an action that
    the log can hardly have taken. The policy that served itself is always answered.
    """
    if of.same:
        return []
    reasons, lost = [], float(of.unsupported.sum(axis=1).mean())
    if lost > MOST_UNSUPPORTED:
        argmax = (of.episodes.propensity[of.episodes.taken] >= 1 - 1e-9).all()
        why = "the log is of an argmax policy, which identifies nothing but its own value" if argmax else ""
        reasons.append(
            f"{lost:.1%} of the policy's routes take an action that the log never or hardly ever takes"
            + (f": {why}" if why else "")
        )
    if of.effective < LEAST_SAMPLE:
        reasons.append(f"the effective sample is {of.effective:.0f} episodes, below {LEAST_SAMPLE:.0f}")
    for name, number in of.effective_answers.items():
        if number < LEAST_ANSWERS:
            reasons.append(f"the effective number of {name} answers is {number:.1f}, below {LEAST_ANSWERS:.0f}")
    return reasons
