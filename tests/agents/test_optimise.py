"""Schedules, the optimiser's step and the division into minibatches."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierrouter_jax.agents.batching import even_steps, shuffle
from hierrouter_jax.agents.optimizer import apply_gradient, entropy_bonus, learning_rate, optimizer
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic


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


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 999))
def test_an_order_holds_every_row_once(size, seed):
    assert sorted(np.asarray(shuffle(jax.random.key(seed), size)).tolist()) == list(range(size))


def test_an_order_is_the_slow_arithmetic_where_products_pass_31_bits():
    size = 786_432
    order = np.asarray(shuffle(jax.random.key(5), size)).astype(np.int64)
    step, start = (order[1] - order[0]) % size, order[0]
    assert (order == (step * np.arange(size, dtype=np.int64) + start) % size).all()
    assert step in even_steps(size)


def test_beyond_a_million_rows_an_order_is_still_one():
    order = np.asarray(shuffle(jax.random.key(0), (1 << 20) + 6))
    assert np.bincount(order).tolist() == [1] * len(order)


@pytest.mark.parametrize("size", [1536, 12_288, 196_608])
def test_every_minibatch_takes_the_same_from_every_stage(size):
    """Rows lie stage by stage; each of four minibatches holds a third of itself from each of three, to 3 %."""
    for seed in range(8):
        parts = np.asarray(shuffle(jax.random.key(seed), size)).reshape(4, -1) // (size // 3)
        counts = np.stack([np.bincount(part, minlength=3) for part in parts]) / (size / 12)
        assert np.abs(counts - 1).max() < 0.03


def test_orders_differ_between_keys():
    orders = {tuple(np.asarray(shuffle(jax.random.key(seed), 1536))[:2].tolist()) for seed in range(50)}
    assert len(orders) > 45


def test_minibatches_must_divide_the_episodes():
    with pytest.raises(ValueError, match="multiple of minibatches"):
        LearnerStatic(num_envs=10, minibatches=4)
