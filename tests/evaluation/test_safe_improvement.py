"""Safe replacement: its numbers by hand, and how often a policy that is no better passes, by simulation."""

import numpy as np
import pytest

from hierrouter_jax.evaluation import safe_improvement
from hierrouter_jax.evaluation.safe_improvement import (
    gain_contributions,
    level_of_look,
    lower_bound,
    may_replace,
    wealth,
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


@pytest.mark.parametrize(("power", "first", "second"), [(0.25, 0.5, 0.4**0.5), (0.5, 0.5**0.5, 0.75)])
def test_wealth_by_hand(power, first, second):
    """Values 1 and -1 in [-1, 1], betting against 0 at level e^-power: stakes are sqrt(power / variance), .75 at most.

    The variance is 1 before the first value, and (1 + (1 - .5)^2) / 2 = .625 before the second. At power .5 the second
    stake would be sqrt(.8) = .894.
    """
    capital = wealth(np.array([1.0, -1.0]), 0.0, -1.0, 1.0, float(np.exp(-power)))
    np.testing.assert_allclose(capital, [1 + first, (1 + first) * (1 - second)])


def test_the_bound_is_the_mean_at_which_the_capital_reaches_what_the_level_allows():
    values = np.random.default_rng(0).choice([-1.0, 0.0, 6.0], 400, p=[0.2, 0.6, 0.2])
    bound = lower_bound(values, -1.0, 9.0, 0.01)
    assert 0.3 < bound < values.mean()
    assert wealth(values, bound, -1.0, 9.0, 0.01).max() == pytest.approx(100, rel=1e-3)
    assert lower_bound(values[:0], -1.0, 9.0, 0.01) == -1.0


@pytest.mark.parametrize("chance", [0.5, 0.02])
def test_the_bound_is_wrong_no_more_often_than_its_level(chance):
    """Values of mean 0, half of them 1 or a few of them 49, the others -1: of 400 bounds of level .1, 40 may err."""
    rng, high = np.random.default_rng(0), (1 - chance) / chance
    values = np.where(rng.random((400, 200)) < chance, high, -1.0)
    wrong = sum(lower_bound(row, -1.0, high, 0.1) > 0 for row in values)
    assert 0 < wrong <= 40


def test_episodes_of_one_question_count_as_one():
    weight, returns = np.tile([2.0, 0.0], 200), np.ones(400)
    once = may_replace(weight, returns, np.arange(400), 1)[1]
    paired = may_replace(np.ones(200), returns[:200], np.arange(200), 1)[1]  # the mean of both is 0 in every question
    assert may_replace(weight, returns, np.repeat(np.arange(200), 2), 1)[1] == pytest.approx(paired)
    assert once < paired < 0


def test_questions_that_differ_are_no_proof():
    """Of 30 questions some are right with arm 1 and the rest with arm 0, each as likely: there is no gain to be had.

    Many episodes tell well which they are; that as many others would be the same is another matter.
    """
    rng, passed = np.random.default_rng(3), np.zeros(2)
    for _ in range(100):
        second, question = rng.random(30) < 0.5, rng.integers(30, size=2000)
        arm = rng.integers(2, size=2000)
        weight, right = 2.0 * arm, (arm == second[question]).astype(float)
        passed += [may_replace(weight, right, its, 1, most=2.0)[0] for its in (question, np.arange(2000))]
    assert passed[0] <= 5
    assert passed[1] > 20  # each episode by itself


CONTEXTS, ARMS, EXPLORE, EVERY, LOOKS = 20, 4, 0.4, 200, 30


def replaced_at(rng, gain):
    """Look at which a loop on a bandit replaces its policy; 0 where it never does.

    The policy takes arm 0, epsilon-greedily. Every look proposes arm 1 in half of the contexts, drawn anew, where it
    is worth `gain` more. What the policy served since it began is looked at again and again, as in a loop.
    """
    worth, context = 0.3 + 0.4 * rng.random(CONTEXTS), rng.integers(CONTEXTS, size=EVERY * LOOKS)
    arm = np.where(rng.random(len(context)) < EXPLORE, rng.integers(ARMS, size=len(context)), 0)
    served = (1 - EXPLORE) * (arm == 0) + EXPLORE / ARMS
    right = (rng.random(len(context)) < worth[context] + gain * (arm == 1)).astype(float)
    for look in range(1, LOOKS + 1):
        proposed = rng.random(CONTEXTS) < 0.5
        weight = ((1 - EXPLORE) * (arm == proposed[context]) + EXPLORE / ARMS) / served
        here = slice(EVERY * look)
        if may_replace(weight[here], right[here], np.arange(EVERY * look), look)[0]:
            return look
    return 0


def share_replaced(loops, gain, seed=0):
    rng = np.random.default_rng(seed)
    return np.mean([replaced_at(rng, gain) > 0 for _ in range(loops)])


@pytest.mark.parametrize("gain", [0.0, -0.02])
def test_few_loops_replace_what_is_as_good_or_a_little_worse(gain):
    assert share_replaced(40, gain) <= 0.05


@pytest.mark.extended
@pytest.mark.parametrize("gain", [0.0, -0.02])
def test_at_most_one_loop_in_twenty_contains_a_harmful_replacement(gain):
    share = share_replaced(200, gain, seed=1)
    print(f"gain {gain}: {share:.3f} of 200 loops replace")
    assert share <= 0.05


def test_without_the_correction_for_repeated_looks_more_loops_do(monkeypatch):
    monkeypatch.setattr(safe_improvement, "level_of_look", lambda look, level: level)
    assert share_replaced(40, 0.0) > 0.05


def test_a_policy_that_is_clearly_better_replaces_soon():
    rng = np.random.default_rng(2)
    assert np.mean([replaced_at(rng, 0.3) > 0 for _ in range(20)]) >= 0.9
