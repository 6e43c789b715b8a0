"""Off-policy PPO: its weights and advantages by hand, PPO's where the log is its own, and that it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.agents.off_policy import LoggedSteps, retrace_advantages, route_weights, update
from hierrouter_jax.agents.optimizer import optimizer
from hierrouter_jax.agents.ppo import generalised_advantages
from hierrouter_jax.agents.types import LearnerHyper, LearnerState, LearnerStatic
from hierrouter_jax.policies.network import PolicyInputs, RouterNetwork, network_outputs

YES = jnp.ones((1, 2), bool)


def test_weights_by_hand():
    """Ratios 2 and 3: weights 2 and 6, and 5 at most of the second; padding weighs nothing."""
    ratio = jnp.log(jnp.array([[2.0, 3.0]]))
    assert route_weights(ratio, YES).tolist()[0] == pytest.approx([2.0, 6.0])
    assert route_weights(ratio, YES, most=5.0).tolist()[0] == pytest.approx([2.0, 5.0])
    assert route_weights(ratio, jnp.array([[True, False]])).tolist()[0] == pytest.approx([2.0, 0.0])


def test_advantages_by_hand():
    """r = (0, 1), V = (.5, .25), ratio .5 of the second action: delta = (-.25, .75), A = (-.25 + .5 * .75, .75)."""
    rewards, values, ratio = jnp.array([[0.0, 1.0]]), jnp.array([[0.5, 0.25]]), jnp.array([[1.0, 0.5]])
    assert retrace_advantages(rewards, values, ratio, YES, 1.0, 1.0).tolist()[0] == pytest.approx([0.125, 0.75])


def test_advantages_of_its_own_log_are_ppos():
    rng = np.random.default_rng(0)
    rewards, values = jnp.asarray(rng.normal(size=(2, 8, 4)))
    taken = jnp.asarray(np.arange(4) < rng.integers(1, 5, size=(8, 1)))
    rewards, values = rewards * taken, values * taken
    ours = retrace_advantages(rewards, values, jnp.ones((8, 4)), taken, 0.9, 0.8)
    np.testing.assert_allclose(ours.T, generalised_advantages(rewards.T, values.T, taken.T, 0.9, 0.8), atol=1e-6)


def even_log(episodes=600, seed=0):
    """Two steps, two models: the reward is 1 if both actions are that of the sign of the step's first feature."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(episodes, 2, 3)).astype(np.float32)
    action = rng.integers(2, size=(episodes, 2))
    right = (action == (features[..., 0] > 0)).all(axis=1)
    reward = np.zeros((episodes, 2), np.float32)
    reward[:, 1] = right
    mask = np.ones((episodes, 2, 3), bool)
    mask[..., 2] = False
    half, blank, taken = np.full((episodes, 2), 0.5), np.zeros((episodes, 2)), np.ones((episodes, 2), bool)
    return LoggedSteps(*map(jnp.asarray, (features, blank, mask, action, half, taken, reward)))


def test_it_learns_from_a_log_of_even_choices():
    log, network = even_log(), RouterNetwork(3, 2, (16,), 2)
    static = LearnerStatic(num_envs=256, num_updates=60, hidden=(16,))
    hyper = LearnerHyper(learning_rate=0.01, entropy=0.01, weight_decay=0.0)
    seen = PolicyInputs(log.features, jnp.tile(jnp.arange(2), (600, 1)), log.spent, jnp.zeros((600, 2, 0)))
    params = network.init(jax.random.key(0), seen)
    zero = jnp.zeros((), jnp.int32)
    state = LearnerState(
        params, optimizer().init(params), jax.random.key(1), zero, params, jnp.float32(0), zero, jnp.float32(0)
    )

    def body(carry, _):
        return update(carry, log, network, static, hyper)

    state, metrics = jax.jit(lambda state: jax.lax.scan(body, state, length=60))(state)
    new = even_log(400, seed=1)
    inputs = PolicyInputs(new.features, jnp.tile(jnp.arange(2), (400, 1)), new.spent, jnp.zeros((400, 2, 0)))
    logits = network_outputs(network, state.params, inputs)[0]
    right = (jnp.argmax(logits[..., :2], axis=-1) == (new.features[..., 0] > 0)).all(axis=1)
    assert float(right.mean()) > 0.85  # .25 by chance
    assert metrics["train_return"][-1] > 0.7
    assert 0 < metrics["effective_share"][-1] < metrics["effective_share"][0] <= 1.01
