"""Logged propensities: exact ones pass, planted errors do not, and a bundle's reader gives them once more."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log import (
    Decision,
    FailedCall,
    LogWriter,
    propensity_check,
    read_log,
    replay,
)
from hierrouter_jax.outcomes.exploration import Exploration, distribution, sample
from tests.bundles import BUNDLES, EMBEDDING, HORIZON, MODELS
from tests.outcomes.decision_log.served import decision

LEVEL = 0.001
DECISIONS = 20_000
SETTINGS = ["softmax:0.1", "softmax:0.5", "epsilon:0.1", "epsilon:0.3"]


def logits_and_masks(rng, rows=DECISIONS):
    """Logits of a trained router's scale, and masks that leave two of four actions or more."""
    mask = rng.random((rows, MODELS + 1)) < 0.7
    mask[:, :2] = True
    return rng.normal(scale=0.3, size=mask.shape), rng.permuted(mask, axis=1)


def served(explore, seed):
    """What a service drew, and the distributions that it drew from."""
    rng = np.random.default_rng(seed)
    logits, mask = logits_and_masks(rng)
    probs = distribution(logits, mask, Exploration.parse(explore))
    return logits, mask, probs, sample(probs, rng)


@pytest.mark.parametrize("explore", [*SETTINGS, "none"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_exact_propensities_are_not_rejected(explore, seed):
    _, _, probs, action = served(explore, seed)
    check = propensity_check(probs, action)
    assert check.p_value > LEVEL
    if explore == "none":
        assert not len(check.z)


@pytest.mark.parametrize("factor", [0.8, 1.2])
@pytest.mark.parametrize("explore", SETTINGS)
def test_a_temperature_or_an_epsilon_a_fifth_off_is_rejected(explore, factor):
    logits, mask, _, action = served(explore, 0)
    setting = Exploration.parse(explore)
    wrong = distribution(logits, mask, replace(setting, value=setting.value * factor))
    assert propensity_check(wrong, action).p_value < LEVEL


@pytest.mark.parametrize("explore", SETTINGS)
def test_a_mask_that_was_not_renormalised_is_rejected(explore):
    logits, mask, _, action = served(explore, 0)
    wrong = distribution(logits, np.ones_like(mask), Exploration.parse(explore)) * mask
    own = wrong[np.arange(DECISIONS), action]
    assert propensity_check(wrong[own > 0], action[own > 0]).p_value < LEVEL


def test_an_impossible_draw_is_rejected_at_once():
    assert propensity_check(np.array([[0.5, 0.5, 0.0]]), np.array([2])).p_value == 0
    assert propensity_check(np.array([[1.0, 0.0]]), np.array([1])).p_value == 0
    assert propensity_check(np.array([[1.0, 0.0]]), np.array([0])).p_value == 1


def test_the_z_of_two_bins_by_hand():
    """400 draws of (.8, .2), 340 of them the first: (340 - 320) / sqrt(400 x .16) = 2.5, and -2.5 for the other."""
    action = np.repeat([0, 1], [340, 60])
    check = propensity_check(np.tile([0.8, 0.2], (400, 1)), action)
    np.testing.assert_allclose(check.z, [-2.5, 2.5])
    np.testing.assert_allclose(check.expected, [80, 320])
    assert check.taken.tolist() == [60, 340]
    assert check.p_value == pytest.approx(2 * 0.0124193, rel=1e-4)  # two bins times P(|Z| > 2.5)


def test_nothing_is_said_of_no_draw():
    with pytest.raises(InputError, match="holds no decision"):
        propensity_check(np.zeros((0, 3)), np.zeros(0, dtype=int))


@pytest.mark.extended
@pytest.mark.parametrize("explore", SETTINGS)
def test_exact_propensities_are_rejected_no_more_often_than_stated(explore):
    """500 logs of 2,000 decisions at level .05: 25 expected, and at most 40 with a probability over .998."""
    rejected = 0
    for seed in range(500):
        rng = np.random.default_rng(seed)
        logits, mask = logits_and_masks(rng, 2_000)
        probs = distribution(logits, mask, Exploration.parse(explore))
        rejected += propensity_check(probs, sample(probs, rng)).p_value < 0.05
    assert rejected <= 40


def test_failed_calls_are_draws_too(tmp_path):
    failed = FailedCall("large", "down", 1.0, [0.1, 0.2, 0.7, 0.0])
    with LogWriter(tmp_path) as writer:
        writer.append(decision("a", probs=[0.4, 0.6, 0, 0], mask=[True, True, False, False], failed=[failed]))
        writer.append(decision("b", candidates=["one"], mask=[True, True], probs=[0.5, 0.5], action=1))
    probs, action = read_log(tmp_path).draws()
    assert probs.tolist() == [[0.4, 0.6, 0, 0], [0.5, 0.5, 0, 0], [0.1, 0.2, 0.7, 0]]
    assert action.tolist() == [1, 1, 2]


@pytest.fixture(scope="module")
def bundle():
    """A policy that is told a cost weight and a budget."""
    return BUNDLES["conditioned"]


def serve(bundle, folder, explore, episodes):
    """Log decisions one at a time, as a service makes them: with conditions, and with models that are away."""
    rng, setting = np.random.default_rng(9), Exploration.parse(explore)
    with LogWriter(folder) as writer:
        for episode in range(episodes):
            told = {"cost_weight": [None, 0.05][episode % 2], "budget": [None, 4.0][episode // 2 % 2]}
            spent = 0.0
            for stage in range(HORIZON):
                embedding = rng.normal(size=EMBEDDING).astype(np.float32)
                charges = rng.uniform(0.5, 1.5, MODELS) if told["budget"] is not None else None
                given = {} if charges is None else {"budget": told["budget"], "charges": charges[None]}
                logits = bundle.logits(embedding[None], stage, np.array([spent]), told["cost_weight"], **given)[0]
                mask = np.isfinite(logits)
                mask[rng.integers(MODELS)] &= rng.random() < 0.8 or mask.sum() < 2
                probs = distribution(logits, mask, setting)
                action = int(sample(probs, rng))
                ends = "stop" if action == MODELS else "horizon" if stage == HORIZON - 1 else ""
                cost = 0.0 if action == MODELS else float(rng.uniform(0.1, 0.5))
                assert writer.append(
                    Decision(
                        episode_id=f"e{episode}", stage=stage, request_time=float(episode), policy=bundle.fingerprint,
                        table=bundle.table_fingerprint, candidates=[m.name for m in bundle.pool], mask=mask,
                        probs=probs, action=action, explore=explore, encoder=bundle.encoder, embedding=embedding,
                        spent=spent, max_hops=HORIZON, charges=charges, cost=cost, end=ends, **told,
                    )
                )  # fmt: skip
                spent += cost
                if ends:
                    break
    return read_log(folder)


@pytest.mark.parametrize("explore", [*SETTINGS, "none"])
def test_replaying_a_log_gives_its_distributions_again(bundle, tmp_path, explore):
    log = serve(bundle, tmp_path, explore, 300)
    assert len(log) > 500
    np.testing.assert_allclose(replay(log, bundle), log.matrix("probs"), atol=1e-6)
    assert propensity_check(*log.draws()).p_value > LEVEL


@pytest.mark.extended
@pytest.mark.parametrize("explore", ["softmax:0.1", "epsilon:0.1"])
def test_twenty_thousand_served_decisions_are_exact(bundle, tmp_path, explore):
    log = serve(bundle, tmp_path, explore, 9_000)
    assert len(log) > 20_000
    np.testing.assert_allclose(replay(log, bundle), log.matrix("probs"), atol=1e-6)
    assert propensity_check(*log.draws()).p_value > LEVEL


def test_a_replay_is_of_the_policy_that_served(bundle, tmp_path):
    log = serve(bundle, tmp_path, "softmax:0.5", 5)
    other = replace(bundle, cost_normaliser=3.0)
    with pytest.raises(InputError, match=f"was made by the policy {bundle.fingerprint}, but the bundle is"):
        replay(log, other)
    assert replace(bundle, provenance={}).fingerprint == bundle.fingerprint
    bundle.save(tmp_path / "policy")
    assert PolicyBundle.load(tmp_path / "policy").fingerprint == bundle.fingerprint


def test_a_replay_refuses_a_mask_that_the_policy_forbids(bundle, tmp_path):
    with LogWriter(tmp_path) as writer:
        writer.append(
            decision(
                policy=bundle.fingerprint, candidates=[m.name for m in bundle.pool], embedding=np.zeros(EMBEDDING),
                mask=[True] * 4, probs=[0.25] * 4,
            )
        )  # fmt: skip
    with pytest.raises(InputError, match="of stage 0 could take an action that the policy's own mask forbids"):
        replay(read_log(tmp_path), bundle)
