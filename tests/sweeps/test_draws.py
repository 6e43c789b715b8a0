"""Draws of hyperparameters: what is drawn lies where it should, and wrong names are refused."""

import jax
import numpy as np
import pytest

from hierrouter_jax.agents.types import LearnerHyper
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.errors import InputError
from hierrouter_jax.sweeps.draws import grid, log, random, sobol, stack, uniform
from hierrouter_jax.training.settings import numbers, with_numbers

CHOICES = {"learning_rate": log(1e-4, 1e-2), "reward.hop_cost": uniform(0, 0.2), "gamma": [0.9, 1.0], "clip": 0.1}


def test_a_grid_holds_every_combination_the_last_name_fastest():
    drawn = grid({"learning_rate": [1e-3, 3e-3], "ranges.budget.low": [1, 2, 3]}, LearnerHyper(clip=0.3))
    assert drawn.learning_rate.tolist() == [1e-3] * 3 + [3e-3] * 3
    assert drawn.ranges.budget.low.tolist() == [1, 2, 3] * 2
    assert {leaf.shape for leaf in jax.tree.leaves(drawn)} == {(6,)}
    assert drawn.clip.tolist() == [0.3] * 6
    assert drawn.entropy.tolist() == [LearnerHyper().entropy] * 6


@pytest.mark.parametrize("draw", [random, sobol])
def test_drawn_points_lie_in_their_ranges_and_repeat_by_seed(draw):
    drawn = draw(CHOICES, 200, seed=1)
    assert ((drawn.learning_rate >= 1e-4) & (drawn.learning_rate <= 1e-2)).all()
    assert np.median(drawn.learning_rate) == pytest.approx(1e-3, rel=0.5)  # evenly in the logarithm
    assert drawn.reward.hop_cost.mean() == pytest.approx(0.1, abs=0.02)
    assert np.mean(drawn.gamma == 1.0) == pytest.approx(0.5, abs=0.1)
    assert set(drawn.clip) == {0.1}
    np.testing.assert_array_equal(drawn.learning_rate, draw(CHOICES, 200, seed=1).learning_rate)
    assert not np.array_equal(drawn.learning_rate, draw(CHOICES, 200, seed=2).learning_rate)


def test_a_shorter_sobol_draw_is_the_beginning_of_a_longer_one_and_even():
    long, short = sobol(CHOICES, 64, seed=3), sobol(CHOICES, 10, seed=3)
    np.testing.assert_array_equal(long.learning_rate[:10], short.learning_rate)
    position = np.log(long.learning_rate / 1e-4) / np.log(100)
    assert np.bincount((position * 8).astype(int)).tolist() == [8] * 8


def test_points_without_a_drawn_number_are_the_base():
    for draw in (random, sobol):
        assert draw({}, 2).clip.tolist() == draw({"gamma": 0.9}, 2).clip.tolist() == [LearnerHyper().clip] * 2


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("learning_rat", "did you mean learning_rate?"),
        ("hop_cost", "did you mean reward.hop_cost?"),
        ("reward.hopcost", "did you mean reward.hop_cost?"),
        ("momentum", "the numbers are learning_rate, "),
    ],
)
def test_an_unknown_number_is_refused_naming_the_nearest(name, hint):
    for draw in (lambda values: grid(values), lambda values: random(values, 3), lambda values: sobol(values, 3)):
        with pytest.raises(InputError, match=f"^{name} is not a number of the learner; ") as error:
            draw({name: [1.0]})
        assert hint in str(error.value)


def test_ranges_and_values_that_are_none_are_refused():
    with pytest.raises(InputError, match="above 0"):
        log(0, 1)
    with pytest.raises(InputError, match="above the upper"):
        uniform(2, 1)
    for range_of, low, high in ((uniform, 0, np.inf), (uniform, -np.inf, 0), (log, 1, np.nan), (uniform, np.nan, 1)):
        with pytest.raises(InputError, match=f"a range needs finite bounds, not {low:g} and {high:g}"):
            range_of(low, high)
    with pytest.raises(InputError, match="gamma must have one or more values"):
        grid({"gamma": []})
    with pytest.raises(InputError, match="count is 0"):
        random({"gamma": uniform(0, 1)}, 0)


def test_numbers_are_named_by_where_they_stand():
    hyper = LearnerHyper(reward=RewardWeights(hop_cost=0.5))
    assert numbers(hyper)["reward.hop_cost"] == 0.5
    assert len(numbers(hyper)) == len(jax.tree.leaves(hyper))
    assert with_numbers(hyper, {"reward.hop_cost": 0.1, "clip": 0.3}) == LearnerHyper(
        clip=0.3, reward=RewardWeights(hop_cost=0.1)
    )


def test_a_stack_is_made_of_several_or_of_arrays_among_numbers():
    several = stack([LearnerHyper(clip=0.1), LearnerHyper(clip=0.3)])
    among = stack(LearnerHyper(clip=np.array([0.1, 0.3])))
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(several), jax.tree.leaves(among), strict=True))
    assert stack(LearnerHyper()).gamma.tolist() == [1.0]
    with pytest.raises(InputError, match="different lengths"):
        stack(LearnerHyper(clip=np.ones(2), gamma=np.zeros(3)))
    with pytest.raises(InputError, match="clip is nan, but must be a finite number"):
        stack(LearnerHyper(clip=np.nan))
    for nothing in ([], LearnerHyper(clip=np.ones(0))):
        with pytest.raises(InputError, match="at least one set"):
            stack(nothing)
