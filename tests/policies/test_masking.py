"""Masked categoricals by hand: illegal actions have no probability and are never drawn."""

import jax
import jax.numpy as jnp
import numpy as np

from hierrouter_jax.policies.masking import IMPOSSIBLE, entropies, masked_categorical, masked_log_probs

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


def test_the_entropy_of_legal_actions_that_are_alike_is_the_logarithm_of_their_number():
    mask = jnp.array([[True, True, False], [True, True, True], [False, True, False]])
    np.testing.assert_allclose(entropies(masked_log_probs(jnp.zeros((3, 3)), mask), mask), np.log([2, 3, 1]), rtol=1e-6)
