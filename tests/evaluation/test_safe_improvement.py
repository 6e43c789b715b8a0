"""Safe replacement: its numbers by hand, and how often a policy that is no better passes, by simulation."""

import numpy as np
import pytest

from hierrouter_jax.evaluation.safe_improvement import (
    gain_contributions,
    level_of_look,
    lower_bound,
    may_replace,
)


def test_the_levels_of_all_looks_add_up_to_the_level():
    assert level_of_look(1, 0.05) == pytest.approx(0.05 * 6 / np.pi**2)
    assert sum(level_of_look(look, 0.05) for look in range(1, 100_000)) == pytest.approx(0.05, rel=1e-4)
    with pytest.raises(ValueError, match="from 1"):
        level_of_look(0, 0.05)


def test_gains_by_hand():
    """Weights 0, 3 and 20 cut at 10, returns 1, .5 and .5: -1, 1 and 4.5."""
    gains = gain_contributions(np.array([0.0, 3.0, 20.0]), np.array([1.0, 0.5, 0.5]), 10.0)
    assert gains.tolist() == [-1.0, 1.0, 4.5]
    with pytest.raises(ValueError, match="below 0"):
        gain_contributions(np.ones(1), np.array([-0.1]), 10.0)


def test_the_bound_by_hand():
    """100 values, half 0 and half 1: mean .5, variance 25 / 99, level 2 / e: log(2 / level) = 1."""
    bound = lower_bound(np.tile([0.0, 1.0], 50), 1.0, 2 / np.e)
    assert bound == pytest.approx(0.5 - np.sqrt(2 * 25 / 99 / 100) - 7 / (3 * 99))
    assert lower_bound(np.ones(1), 1.0, 0.05) == -np.inf


CONTEXTS, ARMS, EVERY, LOOKS, EXPLORE = 20, 4, 300, 6, 0.4


def harmed(rng):
    """Whether a loop on a bandit of contexts replaces its policy by one that is worse.

    Each round serves the second best arms epsilon-greedily; proposed is the same policy with some contexts changed to
    the worst arm, in half of the loops by little.
    """
    worth = rng.random((CONTEXTS, ARMS))
    worth = np.where(rng.random() < 0.5, worth, 0.5 + worth / 50)
    policy = worth.argsort(axis=1)[:, -2]
    for look in range(1, LOOKS + 1):
        proposed = np.where(rng.random(CONTEXTS) < 0.2, worth.argmin(axis=1), policy)
        context = rng.integers(CONTEXTS, size=EVERY)
        served = np.where(rng.random(EVERY) < EXPLORE, rng.integers(ARMS, size=EVERY), policy[context])
        serving = (1 - EXPLORE) * (served == policy[context]) + EXPLORE / ARMS
        asked = (1 - EXPLORE) * (served == proposed[context]) + EXPLORE / ARMS
        gains = (rng.random(EVERY) < worth[context, served]).astype(float)
        if (proposed != policy).any() and may_replace(asked / serving, gains, look)[0]:
            return True
    return False


def test_at_most_one_loop_in_twenty_contains_a_harmful_replacement():
    rng = np.random.default_rng(0)
    assert np.mean([harmed(rng) for _ in range(200)]) <= 0.05


def test_a_policy_that_is_far_better_replaces():
    rng = np.random.default_rng(1)
    passed = 0
    for _ in range(20):
        weight = np.where(rng.random(3000) < 0.5, 2.0, 0.0)
        gains = (rng.random(3000) < np.where(weight > 0, 0.9, 0.2)).astype(float)
        passed += may_replace(weight, gains, 3)[0]
    assert passed == 20
