"""Ascent on the values at a log's contexts: its objective by hand, and that the best action wins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.agents.context_ascent import ContextValues, objective, update
from hierrouter_jax.agents.optimizer import optimizer
from hierrouter_jax.agents.types import LearnerHyper, LearnerState, LearnerStatic
from hierrouter_jax.policies.network import PolicyInputs, RouterNetwork, network_outputs


class Fixed:
    """A network of the same logits at every context."""

    num_actions = 3

    def apply(self, params, seen):
        return jnp.broadcast_to(params, (*seen.stage.shape, 3)), jnp.zeros(seen.stage.shape)


def contexts(number=400, seed=0):
    """Model 0 is worth 1 where the first feature is positive, else model 1; STOP would be worth more and is illegal."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(number, 4)).astype(np.float32)
    first = (features[:, 0] > 0).astype(np.float32)
    values = np.stack([first, 1 - first, np.full(number, 9.0, np.float32)], axis=1)
    mask = np.tile([True, True, False], (number, 1))
    stage = rng.integers(2, size=number)
    return ContextValues(*map(jnp.asarray, (features, stage, np.zeros(number, np.float32), mask, values, number)))


def test_the_objective_by_hand():
    """Logits log 3 and 0 of two legal actions: probabilities .75 and .25, values 1 and 0, entropy .562."""
    one = ContextValues(
        jnp.zeros((1, 2)),
        jnp.zeros(1, int),
        jnp.zeros(1),
        jnp.array([[True, True, False]]),
        jnp.array([[1.0, 0, 9]]),
        1,
    )
    loss, metrics = objective(jnp.log(jnp.array([3.0, 1.0, 100.0])), one, Fixed(), 0.1)
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert float(metrics["train_return"]) == pytest.approx(0.75)
    assert float(loss) == pytest.approx(-(0.75 + 0.1 * entropy))


def test_the_best_legal_action_wins():
    log, network = contexts(), RouterNetwork(3, 2, (16,), 2)
    static = LearnerStatic(num_envs=128, num_updates=30, hidden=(16,))
    hyper = LearnerHyper(learning_rate=0.01, weight_decay=0.0)
    seen = PolicyInputs(log.features, log.stage, log.spent, jnp.zeros((400, 0)))
    params = network.init(jax.random.key(0), seen)
    zero = jnp.zeros((), jnp.int32)
    state = LearnerState(
        params, optimizer().init(params), jax.random.key(1), zero, params, jnp.float32(0), zero, jnp.float32(0)
    )

    def body(carry, _):
        return update(carry, log, network, static, hyper)

    state, metrics = jax.jit(lambda state: jax.lax.scan(body, state, length=30))(state)
    new = contexts(seed=1)
    logits = network_outputs(
        network, state.params, PolicyInputs(new.features, new.stage, new.spent, jnp.zeros((400, 0)))
    )[0]
    assert float((jnp.argmax(logits[:, :2], axis=1) == (new.features[:, 0] <= 0)).mean()) > 0.95
    assert metrics["train_return"][-1] > 0.95


def test_padding_is_never_drawn():
    """Behind the contexts lies one whose values are not finite: an update that drew it would not be, either."""
    log, network = contexts(40), RouterNetwork(3, 2, (16,), 2)
    padded = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf[:24]]), log.replace(count=jnp.zeros(1)))
    padded = padded.replace(values=padded.values.at[40:].set(jnp.nan), count=jnp.asarray(40))
    static, hyper = LearnerStatic(num_envs=256, num_updates=5, hidden=(16,)), LearnerHyper()
    seen = PolicyInputs(log.features, log.stage, log.spent, jnp.zeros((40, 0)))
    params, zero = network.init(jax.random.key(0), seen), jnp.zeros((), jnp.int32)
    state = LearnerState(
        params, optimizer().init(params), jax.random.key(1), zero, params, jnp.float32(0), zero, jnp.float32(0)
    )
    ends = [update(state, one, network, static, hyper)[0].params for one in (log, padded)]
    jax.tree.map(np.testing.assert_array_equal, *ends)
