"""Masked categoricals by hand: illegal actions have no probability and are never drawn."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.learner_config import LearnerStatic
from hierrouter_jax.policies.masking import IMPOSSIBLE, Categorical, entropies, masked_categorical, masked_log_probs
from hierrouter_jax.training.settings import TrainConfig
from hierrouter_jax.training.train import train_routers
from tests.tables import random_table

LOGITS = jnp.array([[0.0, jnp.log(3.0), 50.0], [1.0, 1.0, 1.0]])
MASK = jnp.array([[True, True, False], [False, True, False]])


def test_probabilities_are_shared_among_legal_actions():
    """1 to 3 without the third; and all of it on the only legal one."""
    log_probs = masked_log_probs(LOGITS, MASK)
    np.testing.assert_allclose(np.exp(log_probs), [[0.25, 0.75, 0], [0, 1, 0]], atol=1e-6)
    assert (log_probs[~MASK] < IMPOSSIBLE / 2).all()
    np.testing.assert_array_equal(masked_log_probs(LOGITS.T, MASK.T, axis=0), log_probs.T)


def test_a_draw_is_legal_and_comes_with_its_probability():
    policy = masked_categorical(LOGITS, MASK)
    action, log_prob = policy.sample_and_log_prob(seed=jax.random.key(0), sample_shape=(4000,))
    assert set(np.asarray(action[:, 1]).tolist()) == {1}
    assert np.bincount(np.asarray(action[:, 0]), minlength=3)[2] == 0
    assert abs(float((action[:, 0] == 1).mean()) - 0.75) < 0.03
    expected = jnp.take_along_axis(masked_log_probs(LOGITS, MASK), action.T, axis=1).T
    np.testing.assert_allclose(log_prob, expected, atol=1e-6)


def test_without_distrax_the_same_is_drawn_bit_for_bit(monkeypatch):
    logits = jax.random.normal(jax.random.key(1), (50, 7, 5)) * 4
    mask = jax.random.bernoulli(jax.random.key(2), 0.6, logits.shape).at[..., 0].set(True)
    theirs = masked_categorical(logits, mask)
    monkeypatch.setitem(sys.modules, "distrax", None)  # as where it is not installed
    with pytest.warns(UserWarning, match="distrax cannot be imported"):
        ours = masked_categorical(logits, mask)
    assert isinstance(ours, Categorical)
    for shape in ((), (3,), (2, 2)):
        for key in range(3):
            draws, log_probs = ours.sample_and_log_prob(seed=jax.random.key(key), sample_shape=shape)
            expected, likelihood = theirs.sample_and_log_prob(seed=jax.random.key(key), sample_shape=shape)
            np.testing.assert_array_equal(draws, expected)
            np.testing.assert_array_equal(log_probs, likelihood)
            assert draws.dtype == expected.dtype
            assert np.take_along_axis(np.asarray(mask)[None], np.asarray(draws).reshape(-1, 50, 7, 1), 3).all()


@pytest.mark.extended
def test_training_is_the_same_without_distrax(monkeypatch):
    """Five updates of PPO, to the same parameters."""
    table = random_table(queries=20, horizon=2)
    settings = TrainConfig(
        learners=("ppo",), num_seeds=1, features=4, static=LearnerStatic(num_envs=16, num_updates=5, hidden=(8,))
    )
    with_it, _ = train_routers(table, settings, progress=False)
    jax.clear_caches()
    monkeypatch.setitem(sys.modules, "distrax", None)
    with pytest.warns(UserWarning, match="distrax cannot be imported"):
        without, _ = train_routers(table, settings, progress=False)
    for one, other in zip(*(jax.tree.leaves(its["ppo"].state.params) for its in (with_it, without)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_entropy_of_legal_actions_that_are_alike_is_the_logarithm_of_their_number():
    mask = jnp.array([[True, True, False], [True, True, True], [False, True, False]])
    np.testing.assert_allclose(entropies(masked_log_probs(jnp.zeros((3, 3)), mask), mask), np.log([2, 3, 1]), rtol=1e-6)
