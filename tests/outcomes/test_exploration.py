"""Exploration: distributions by hand and by law, and draws that follow them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.exploration import Exploration, distribution, sample
from hierrouter_jax.outcomes.ties import first_best

ALL = np.ones(3, dtype=bool)


def finite(size):
    return arrays(np.float64, size, elements=st.floats(-50, 50))


@st.composite
def decisions(draw):
    """Logits of some rows, with a mask that leaves at least one action of each."""
    rows, actions = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    mask = draw(arrays(bool, (rows, actions)))
    mask[np.arange(rows), draw(arrays(np.int64, rows, elements=st.integers(0, actions - 1)))] = True
    return np.where(mask, draw(finite((rows, actions))), -np.inf), mask


explorations = st.one_of(
    st.just(Exploration()),
    st.builds(Exploration, st.just("softmax"), st.floats(0.01, 10)),
    st.builds(Exploration, st.just("epsilon"), st.floats(0, 1)),
)


def test_softmax_by_hand():
    """Logits 0 and log 3 at T = 1: a quarter and three; at T = .5 the odds are squared: 1 of 10."""
    logits, mask = np.log([1.0, 3.0, 100.0]), np.array([True, True, False])
    np.testing.assert_allclose(distribution(logits, mask, Exploration("softmax", 1.0)), [0.25, 0.75, 0])
    np.testing.assert_allclose(distribution(logits, mask, Exploration("softmax", 0.5)), [0.1, 0.9, 0])


def test_epsilon_by_hand():
    """E = .3 over two available actions: the greedy one gets .7 + .15, the other .15."""
    mask = np.array([True, True, False])
    probs = distribution(np.array([1.0, 2.0, 3.0]), mask, Exploration("epsilon", 0.3))
    np.testing.assert_allclose(probs, [0.15, 0.85, 0])


def test_ties_go_to_the_lowest_available_action():
    logits, mask = np.array([5.0, 1.0, 1.0]), np.array([False, True, True])
    assert distribution(logits, mask, Exploration()).tolist() == [0, 1, 0]
    assert distribution(logits, mask, Exploration("epsilon", 0.0)).tolist() == [0, 1, 0]


@given(decisions(), explorations)
def test_a_distribution_sums_to_one_and_leaves_out_what_is_masked(decision, explore):
    logits, mask = decision
    probs = distribution(logits, mask, explore)
    assert probs.dtype == np.float64
    np.testing.assert_allclose(probs.sum(axis=-1), 1, atol=1e-12)
    assert (probs[~mask] == 0).all()
    assert (probs >= 0).all()
    scores = np.where(mask, logits, -np.inf)
    greedy = scores.argmax(axis=-1) if explore.kind == "softmax" else first_best(scores, np.arange(scores.shape[-1]))
    assert (probs[np.arange(len(probs)), greedy] >= probs.max(axis=-1) - 1e-12).all()


@given(decisions(), explorations, st.floats(-100, 100))
def test_what_is_masked_and_a_shift_of_all_logits_change_nothing(decision, explore, shift):
    logits, mask = decision
    logits = np.round(logits, 3)  # so that a shift makes no new ties
    shifted = np.where(mask, logits + np.round(shift), 7.0)
    np.testing.assert_allclose(distribution(shifted, mask, explore), distribution(logits, mask, explore), atol=1e-9)


@given(decisions(), explorations, st.integers(0, 2**32 - 1))
def test_an_action_of_probability_zero_is_never_drawn(decision, explore, seed):
    logits, mask = decision
    actions = sample(distribution(logits, mask, explore), np.random.default_rng(seed))
    assert mask[np.arange(len(mask)), actions].all()


class _Largest:
    """A generator that always draws the largest number below 1, or 0."""

    def __init__(self, value):
        self.value = value

    def random(self, shape):
        return np.full(shape, self.value)


@pytest.mark.parametrize(("value", "action"), [(0.0, 1), (np.nextafter(1.0, 0.0), 3)])
def test_the_ends_of_the_unit_interval_draw_the_first_and_the_last_action_of_any_probability(value, action):
    probs = np.array([[0.0, 0.1, 0.2, 0.7, 0.0]])
    assert sample(probs / probs.sum(), _Largest(value)).tolist() == [action]


def test_draws_follow_the_distribution_and_the_seed():
    probs = np.tile([0.5, 0.3, 0.2], (20_000, 1))
    actions = sample(probs, np.random.default_rng(3))
    assert (actions == sample(probs, np.random.default_rng(3))).all()
    np.testing.assert_allclose(np.bincount(actions) / 20_000, [0.5, 0.3, 0.2], atol=0.012)
    single = np.random.default_rng(3)
    assert [int(sample(row, single)) for row in probs[:50]] == actions[:50].tolist()


@given(explorations)
def test_a_setting_is_read_back_as_it_was_written(explore):
    assert Exploration.parse(str(explore)) == explore


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("softmax", "explore is 'softmax', but must be none, softmax:T"),
        ("none:1", "but must be none, softmax:T"),
        ("greedy", "but must be none, softmax:T"),
        ("softmax:hot", "but must be none, softmax:T"),
        ("softmax:0", "softmax's number must be a finite number above 0"),
        ("softmax:inf", "softmax's number must be a finite number above 0"),
        ("epsilon:1.5", "epsilon's number must be a finite number of at least 0 and at most 1"),
        ("epsilon:nan", "epsilon's number must be a finite number"),
    ],
)
def test_another_setting_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        Exploration.parse(text)


def test_no_action_and_no_number_are_refused():
    with pytest.raises(InputError, match="leaves no action"):
        distribution(np.zeros(3), ~ALL, Exploration())
    with pytest.raises(InputError, match="not finite"):
        distribution(np.array([0.0, np.nan, 0.0]), ALL, Exploration("softmax", 1.0))


def test_ties_go_as_the_policy_says():
    """Actions 0 and 2 are equal: 2 comes first in the order."""
    logits, mask = np.array([[1.0, 0.0, 1.0]]), np.ones((1, 3), dtype=bool)
    none, epsilon = Exploration(), Exploration.parse("epsilon:0.3")
    np.testing.assert_array_equal(distribution(logits, mask, none), [[1, 0, 0]])
    np.testing.assert_array_equal(distribution(logits, mask, none, (2, 1, 0)), [[0, 0, 1]])
    np.testing.assert_allclose(distribution(logits, mask, epsilon, (2, 1, 0)), [[0.1, 0.1, 0.8]])
