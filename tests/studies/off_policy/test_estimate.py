"""An estimate as plain data: what is read for the target, the truth beside it, and what is said of a log."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.exploration import Exploration
from hierrouter_jax.studies.off_policy import estimate as module
from hierrouter_jax.studies.off_policy.estimate import estimate, target_probs, truth
from tests.bundles import BUNDLES
from tests.studies.off_policy.logs import PART, TABLE, log, plan
from tests.studies.test_simulate import value

GREEDY = Exploration()


def test_a_policy_is_asked_what_served_it_and_gives_what_was_logged():
    its = log("epsilon:0.3", 400)
    probs = target_probs(plan(), its, Exploration("epsilon", 0.3))
    assert probs[its.taken] == pytest.approx(its.probs[its.taken], abs=1e-9)


def test_a_policy_of_fewer_hops_stops_after_its_last():
    its = log("softmax:1", 400)
    short = replace(
        plan(), horizon=1, weights={name: array[:1] for name, array in plan().weights.items()}, encoder_multiply_adds=()
    )
    probs = target_probs(short, its, GREEDY)
    second = its.taken[:, 1]
    assert second.any()
    assert (probs[second, 1, -1] == 1).all()
    assert (probs[second, 1, :-1] == 0).all()


def test_a_policy_is_told_what_each_request_was():
    """Cost weights of two kinds: each episode's distribution is that of its own."""
    bundle = BUNDLES["conditioned"]
    rng = np.random.default_rng(0)
    its = log(episodes=40)
    shape = its.embedding.shape[:2]
    its = replace(
        its,
        embedding=rng.normal(size=(*shape, 48)).astype(np.float32),
        cost_weight=np.where(np.arange(40) % 2, 0.01, np.nan),
        budget=np.where(np.arange(40) % 4 < 2, 1e6, np.nan),
        charges=np.ones((*shape, 3)),
    )
    probs = target_probs(bundle, its, Exploration("softmax", 1.0))
    for row in range(8):
        told = its.only(np.arange(40) == row)
        alone = target_probs(bundle, told, Exploration("softmax", 1.0))
        assert probs[row][its.taken[row]] == pytest.approx(alone[0][its.taken[row]])
    weight = None if np.isnan(its.cost_weight[0]) else its.cost_weight[0]
    logits = bundle.logits(its.embedding[:1, 0], 0, its.spent[:1, 0], weight, its.budget[:1], its.charges[:1, 0])
    expected = np.exp(logits - logits.max())
    assert probs[0, 0] == pytest.approx((expected / expected.sum())[0])


def test_the_truth_is_the_recursion_over_the_table():
    from hierrouter_jax.studies.named_policy import tree_probs

    real = truth(PART, plan(), GREEDY, 0.1)
    probs = tree_probs(plan(), PART, GREEDY)
    by_hand = np.mean([value(PART, probs, query) for query in range(PART.num_queries)], axis=0)
    assert (real["accuracy"], real["cost"]) == pytest.approx(tuple(by_hand), rel=1e-5)
    assert real["return"] == pytest.approx(by_hand[0] - 0.1 * by_hand[1] / plan().cost_normaliser, rel=1e-5)


def test_an_estimate_is_plain_data_with_the_truth_in_its_intervals():
    result = estimate(log(episodes=3000), plan(), table=PART, cost_weight=0.1)
    assert json.loads(json.dumps(result)) == result
    assert result["answers"]
    assert result["reasons"] == []
    served = log(episodes=3000)
    assert result["logging"]["accuracy"]["value"] == pytest.approx(served.quality.mean())
    for metric in ("return", "accuracy", "cost"):
        low, high = result["estimate"][metric]["ci"]
        assert low <= result["truth"][metric] <= high
        assert result["difference"][metric]["value"] == pytest.approx(
            result["estimate"][metric]["value"] - result["logging"][metric]["value"]
        )
    low, high = result["bernstein"]["accuracy"]
    assert low <= result["truth"]["accuracy"] <= high
    assert result["diagnostics"]["mean_weight"]["value"] == pytest.approx(1, abs=0.2)
    assert result["diagnostics"]["propensities"]["p_value"] > 0.001
    for stage in range(2):
        some = [row for row in result["diagnostics"]["actions"] if row["stage"] == stage]
        assert sum(row["logged"] for row in some) == pytest.approx(1)
        assert sum(row["target"] for row in some) == pytest.approx(1)


def test_overlap_says_where_the_log_never_took_what_the_policy_does():
    """Of one task, episodes that took the policy's own first action are taken out of the log."""
    its = log("softmax:1", 2000)
    target = target_probs(plan(), its, GREEDY)
    task = its.task[0]
    lost = (its.task == task) & (target[np.arange(2000), 0, its.action[:, 0]] > 0)
    result = estimate(its.only(~lost), plan())
    lacking = [row for row in result["diagnostics"]["overlap"] if row["never_taken"] and row["stage"] == 0]
    assert [row["task"] for row in lacking] == [task]
    assert set(lacking[0]["never_taken"]) <= set(TABLE.model_names)


def test_propensities_that_are_not_those_of_the_draws_are_refused():
    its = log("epsilon:0.8", 3000)
    wrong = its.probs.copy()
    wrong[its.taken] = 0.5 * wrong[its.taken] + 0.5 * its.mask[its.taken] / its.mask[its.taken].sum(axis=-1)[:, None]
    own = np.take_along_axis(wrong, its.action[..., None], axis=-1)[..., 0]
    result = estimate(replace(its, probs=wrong, propensity=np.where(its.taken, own, 1.0)), plan())
    assert not result["answers"]
    assert "the logged propensities are not those of the draws" in result["reasons"]
    assert result["estimate"] is None
    assert all(row["return"]["ci"] is None for row in result["estimators"])


def test_a_clip_does_not_make_sound_propensities_doubtful():
    its = log("epsilon:0.9", 3000)
    plain, cut = (estimate(its, plan(), clip=clip) for clip in (None, 1.2))
    assert cut["diagnostics"]["mean_weight"] == plain["diagnostics"]["mean_weight"]
    assert cut["diagnostics"]["largest_weight"] <= 1.2**2 < plain["diagnostics"]["largest_weight"]
    assert not any("mean weight" in sentence for sentence in cut["warnings"])


def test_an_interval_of_accuracy_lies_within_what_can_be():
    """Beyond 1 on either side it is the point 1, as below the least; a return has no such bounds."""
    signals, values = {"accuracy": (1.0, 0.0), "return": (1.0, -0.1)}, np.array([1.2, 1.3])
    for (low, high), ci in (((1.133, 1.4), [1.0, 1.0]), ((-0.2, -0.1), [0.0, 0.0]), ((0.5, 1.1), [0.5, 1.0])):
        metrics = module._metrics(signals, lambda signal: values, lambda values, ends=(low, high): ends)
        assert (metrics["accuracy"]["ci"], metrics["return"]["ci"]) == (ci, [low, high])


def test_drift_is_said():
    its = log(episodes=2000)
    late = its.time > np.median(its.time)
    result = estimate(replace(its, quality=np.where(late, its.quality, 0.5 * its.quality)), plan())
    assert any("drifts" in sentence for sentence in result["warnings"])
    assert not any("drifts" in sentence for sentence in estimate(its, plan())["warnings"])


def test_a_policy_that_learned_from_the_log_is_flagged():
    """By its provenance: only the episodes of the policies and of the time that taught it count."""
    its = log(episodes=400)
    until = datetime.fromtimestamp(float(np.median(its.time)), UTC).isoformat()

    def said(**taught) -> list[str]:
        bundle = replace(plan(), provenance={"log": {"policies": [str(its.policy[0])]} | taught})
        return [one for one in estimate(its, bundle)["warnings"] if "learned from" in one]

    assert said()[0].startswith("400 of the 400 episodes are of the log that the policy learned from")
    assert said(until=until)[0].startswith(f"{(its.time <= np.median(its.time)).sum()} of the 400 episodes")
    assert said(until="2000-01-01T00:00:00+00:00") == []
    assert said(policies=["another"]) == []
    assert said(until="some day") == said(policies=7) == []  # provenance of others may hold anything
    assert not any("learned from" in one for one in estimate(its, plan())["warnings"])


def test_a_log_of_another_encoder_or_pool_is_refused():
    its = log(episodes=50)
    with pytest.raises(InputError, match="the log's embeddings are of the encoder"):
        estimate(replace(its, encoder={"kind": "other"}), plan())
    with pytest.raises(InputError, match="the log's candidates are a, b, c, but must be m0, m1, m2"):
        estimate(replace(its, candidates=("a", "b", "c")), plan())
    with pytest.raises(InputError, match="1 episodes came to an end with feedback"):
        estimate(replace(its, quality=np.where(np.arange(50) == 0, 1.0, np.nan)), plan())
