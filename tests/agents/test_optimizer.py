"""Schedules and the optimiser's step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hierrouter_jax.agents.optimizer import apply_gradient, entropy_bonus, learning_rate, optimizer
from hierrouter_jax.agents.types import LearnerHyper


@pytest.mark.parametrize(
    ("end", "cosine", "expected"),
    [(1.0, 0.0, [2.0, 2.0, 2.0]), (0.1, 0.0, [2.0, 1.55, 0.2]), (0.0, 1.0, [2.0, 1 + 0.5**0.5, 0.0])],
)
def test_rates_fall_constantly_linearly_and_along_a_cosine_by_hand(end, cosine, expected):
    """At 0, 1/4 and the end; 2 (.1 + .9 x .75) = 1.55, and (1 + cos 45 degrees) = 1.707."""
    hyper = LearnerHyper(learning_rate=2.0, learning_rate_end=end, learning_rate_cosine=cosine)
    rates = [float(learning_rate(hyper, jnp.asarray(p))) for p in (0.0, 0.25, 1.0)]
    assert rates == pytest.approx(expected, abs=1e-6)


def test_the_entropy_bonus_falls_linearly():
    hyper = LearnerHyper(entropy=0.2, entropy_end=0.0)
    assert [float(entropy_bonus(hyper, jnp.asarray(p))) for p in (0.0, 0.5, 1.0)] == pytest.approx([0.2, 0.1, 0.0])


def test_the_step_is_optaxs_adamw_with_clipped_gradients():
    params = {"a": jnp.array([1.0, -2.0]), "b": jnp.array([[0.5]])}
    gradient = {"a": jnp.array([3.0, 4.0]), "b": jnp.array([[12.0]])}  # norm 13
    hyper = LearnerHyper(learning_rate=0.1, learning_rate_end=1.0, weight_decay=0.3, max_grad_norm=0.5)
    reference = optax.chain(optax.clip_by_global_norm(0.5), optax.adamw(0.1, eps=1e-5, weight_decay=0.3))
    ours, state = params, optimizer().init(params)
    theirs, other = params, reference.init(params)
    for _ in range(3):
        ours, state = apply_gradient(ours, state, gradient, hyper, jnp.asarray(0.0))
        updates, other = reference.update(gradient, other, theirs)
        theirs = optax.apply_updates(theirs, updates)
    for mine, its in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-5)
