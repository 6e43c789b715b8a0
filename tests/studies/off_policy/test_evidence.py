"""What logged episodes say of another policy: every estimator against the truth, and when nothing is said."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.outcomes.exploration import Exploration
from hierrouter_jax.studies.off_policy.estimate import target_probs, truth
from hierrouter_jax.studies.off_policy.evidence import DEFAULT, ESTIMATORS, reasons_to_refuse, usable, weigh
from tests.studies.off_policy.logs import PART, log, plan

GREEDY = Exploration()
WEIGHT = 0.1
SIGNAL = (1.0, -WEIGHT)


def evidence(explore: str = "softmax:0.3", seed: int = 0, episodes: int = 2000):
    its = log(explore, episodes, seed)
    return weigh(its, target_probs(plan(), its, GREEDY), plan().cost_normaliser)


def test_every_estimator_but_the_direct_one_is_within_its_error_of_the_truth():
    """Mean of 30 logs of 600 episodes: off by at most 3.5 standard errors of that mean."""
    real = truth(PART, plan(), GREEDY, WEIGHT)["return"]
    logs = [evidence(seed=seed, episodes=600) for seed in range(30)]
    for name in set(ESTIMATORS) - {"direct"}:
        means = np.array([one.contributions(SIGNAL, name).mean() for one in logs])
        assert abs(means.mean() - real) < 3.5 * means.std() / np.sqrt(len(means) - 1), name


def test_the_default_is_the_best_of_them_and_its_error_is_what_it_says():
    real = truth(PART, plan(), GREEDY, WEIGHT)["return"]
    logs = [evidence(seed=seed, episodes=600) for seed in range(30)]
    error = {
        name: np.sqrt(np.mean([(one.contributions(SIGNAL, name).mean() - real) ** 2 for one in logs]))
        for name in ESTIMATORS
    }
    assert error[DEFAULT] <= 1.5 * min(error.values())
    assert error[DEFAULT] < error["importance-sampling"]
    said = np.mean([one.contributions(SIGNAL).std() / np.sqrt(600) for one in logs])
    assert 0.6 < error[DEFAULT] / said < 1.5
    held = [low <= real <= high for low, high in (one.interval(one.contributions(SIGNAL)) for one in logs)]
    assert sum(held) >= 25


def test_the_policy_that_served_has_the_plain_mean_by_every_estimator():
    its = log("epsilon:0.4")
    of = weigh(its, target_probs(plan(), its, Exploration("epsilon", 0.4)), plan().cost_normaliser)
    assert of.same
    for name in ESTIMATORS:
        assert of.contributions((1.0, 0.0), name).mean() == pytest.approx(its.quality.mean())
        assert of.contributions((0.0, plan().cost_normaliser), name).mean() == pytest.approx(its.total_cost.mean())
    assert reasons_to_refuse(of) == []


def test_a_clip_cuts_ratios():
    its = log("epsilon:0.9")
    of = weigh(its, target_probs(plan(), its, GREEDY), plan().cost_normaliser, clip=1.5)
    assert of.ratio.max() == 1.5


def test_an_argmax_log_is_refused_in_a_sentence_for_any_policy_but_its_own():
    its = log("none")
    own = weigh(its, target_probs(plan(), its, GREEDY), plan().cost_normaliser)
    assert own.same
    other = weigh(its, target_probs(plan(), its, Exploration("epsilon", 0.5)), plan().cost_normaliser)
    (reason, *_) = reasons_to_refuse(other)
    assert "the log is of an argmax policy, which identifies nothing but its own value" in reason


def test_few_episodes_are_refused_by_each_part_of_the_rule():
    its = log("epsilon:1.0", episodes=60)
    of = weigh(its, target_probs(plan(), its, GREEDY), plan().cost_normaliser)
    assert of.effective < 50
    assert any("the effective sample is" in reason for reason in reasons_to_refuse(of))
    good = log("softmax:0.3")
    right = replace(good, quality=np.where(np.arange(len(good)) < 3, 0.0, 1.0))
    of = weigh(right, target_probs(plan(), right, GREEDY), plan().cost_normaliser)
    assert of.effective > 50
    (reason,) = reasons_to_refuse(of)
    assert reason.startswith("the effective number of wrong answers is")


def test_episodes_without_feedback_or_end_are_not_used():
    its = log(episodes=50, feedback=0.5)
    its.end[:5] = "failed"
    assert usable(its).sum() == np.isfinite(its.quality[5:]).sum()
