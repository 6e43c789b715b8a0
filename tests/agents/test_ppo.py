"""PPO: its formulas by hand, its laws, and that it learns what can be learned."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.agents import learner, ppo
from hierrouter_jax.agents.ppo import clipped_surrogate, generalised_advantages, normalise, weighted_mean
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.baselines.oracle import oracle_fixed, oracle_stop
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.envs.routing import action_mask
from hierrouter_jax.envs.types import DeviceTable, RoutingState, device_table
from hierrouter_jax.evaluation.tree_policy import run_policy
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.policies.masking import masked_log_probs
from hierrouter_jax.policies.network import build_network, gather_inputs, network_outputs
from tests.agents.trees import standing_still
from tests.tables import random_table


def on_device(table: OutcomeTable) -> DeviceTable:
    return device_table(table, table.context_embedding, 5.0)


def slow_advantages(rewards, values, alive, gamma, lam):
    """A_t = sum_k (gamma * lambda)^k delta_{t+k}, summed out for each episode."""
    steps, batch = rewards.shape
    result = np.zeros((steps, batch))
    for b in range(batch):
        length = int(alive[:, b].sum())
        delta = [
            rewards[t, b] + gamma * (values[t + 1, b] if t + 1 < length else 0.0) - values[t, b] for t in range(length)
        ]
        for t in range(length):
            result[t, b] = sum((gamma * lam) ** (k - t) * delta[k] for k in range(t, length))
    return result


def test_advantages_by_hand():
    """r = (1, 2), V = (.5, 1), gamma = .5, lambda = .5: delta = (1, 1), A = (1 + .25 * 1, 1)."""
    column = jnp.array([[1.0], [2.0]]), jnp.array([[0.5], [1.0]]), jnp.ones((2, 1), bool)
    assert generalised_advantages(*column, 0.5, 0.5)[:, 0].tolist() == pytest.approx([1.25, 1.0])


@pytest.mark.parametrize("seed", range(5))
def test_advantages_are_the_slow_sum(seed):
    rng = np.random.default_rng(seed)
    rewards, values = rng.normal(size=(2, 4, 8))
    alive = np.arange(4)[:, None] < rng.integers(1, 5, size=8)
    ours = generalised_advantages(*map(jnp.asarray, (rewards * alive, values, alive)), 0.9, 0.8)
    np.testing.assert_allclose(ours, slow_advantages(rewards, values, alive, 0.9, 0.8), atol=1e-5)


def test_the_clipped_surrogate_by_hand():
    """eps .2: ratio 1.5 gains 1.2 * 1 and no more, but loses 1.5 * -1 in full; ratio .5 likewise."""
    ratio, advantage = jnp.array([1.5, 1.5, 0.5, 0.5]), jnp.array([1.0, -1.0, 1.0, -1.0])
    assert clipped_surrogate(ratio, advantage, 0.2).tolist() == pytest.approx([1.2, -1.5, 0.5, -0.8])


def test_masked_statistics_ignore_the_masked():
    values, mask = jnp.array([1.0, 3.0, 100.0]), jnp.array([True, True, False])
    assert float(weighted_mean(values, mask)) == 2.0
    assert normalise(values, mask)[:2].tolist() == pytest.approx([-1.0, 1.0], abs=1e-4)
    assert float(weighted_mean(values, jnp.zeros(3, bool))) == 0.0


def test_rollouts_are_legal_and_their_rewards_the_tables():
    table = on_device(random_table(queries=20, missing=0.3))
    static = LearnerStatic(num_envs=512, hidden=(16, 16), allow_stop=True)
    state = learner.init(jax.random.key(0), table, static, LearnerHyper())
    rollout, _ = ppo.collect(
        jax.random.key(1), state.params, table, build_network(table, static), static, LearnerHyper()
    )
    legal = action_mask(RoutingState(rollout.query, rollout.node, ~rollout.alive), table, True)
    np.testing.assert_array_equal(rollout.mask, legal)
    assert bool(jnp.take_along_axis(legal, rollout.action[..., None], axis=-1).all())
    assert (rollout.reward[~rollout.alive] == 0).all()
    stops = rollout.alive & (rollout.action == table.tree.num_models)
    np.testing.assert_allclose(rollout.reward[stops], table.quality[rollout.query[stops], rollout.node[stops]])
    assert int(stops.sum()) > 0


def test_under_guidance_actions_are_drawn_from_the_mixture_that_is_recorded():
    """k = .4 of the best policy and .6 of the network's; the better a best action, the more often it is taken."""
    table, static, hyper = on_device(random_table(queries=20)), LearnerStatic(num_envs=256, hidden=(8,)), LearnerHyper()
    network = build_network(table, static)
    params = learner.init(jax.random.key(0), table, static, hyper).params
    rollout, _ = ppo.collect(jax.random.key(1), params, table, network, static, hyper, 0.4)
    seen = gather_inputs(table, rollout.query, rollout.node, rollout.conditions, hyper.ranges)
    logits = masked_log_probs(network_outputs(network, params, seen)[0], rollout.mask)
    own = jnp.exp(jnp.take_along_axis(logits, rollout.action[..., None], axis=-1)[..., 0])
    expected = 0.6 * own + rollout.guided
    alive = np.asarray(rollout.alive)
    np.testing.assert_allclose(np.exp(rollout.log_prob)[alive], np.asarray(expected)[alive], rtol=1e-4)
    assert float(jnp.mean(rollout.guided[rollout.alive] > 0)) > 0.5
    batch = ppo.to_batch(rollout, hyper)
    at_once = gather_inputs(table, batch.query, batch.node, batch.conditions, hyper.ranges)
    _, metrics = ppo.loss(params, hyper, jnp.zeros(()), 0.4, at_once, batch, network)
    assert float(metrics["approx_kl"]) == pytest.approx(0.0, abs=1e-4)  # the same policy: all ratios are 1


def slow_loss(batch, logits, values, hyper, bonus):
    """Step by step: the clipped surrogate, half the squared error of the value, the entropy over legal actions."""
    total = 0.0
    for i, weight in enumerate(batch.weight):
        legal = np.flatnonzero(batch.mask[i])
        probs = np.exp(logits[i, legal] - logits[i, legal].max())
        probs /= probs.sum()
        ratio = probs[list(legal).index(batch.action[i])] / np.exp(batch.log_prob[i])
        clipped = np.clip(ratio, 1 - hyper.clip, 1 + hyper.clip)
        surrogate = min(ratio * batch.advantage[i], clipped * batch.advantage[i])
        entropy = -sum(p * np.log(p) for p in probs)
        error = 0.5 * (values[i] - batch.target[i]) ** 2
        total += weight * (-surrogate + hyper.value_coefficient * error - bonus * entropy)
    return total


def test_the_loss_is_the_slow_sum_and_its_parts_add_up():
    table = on_device(random_table(queries=20, missing=0.3))
    static, hyper = LearnerStatic(num_envs=16, hidden=(16, 16), allow_stop=True), LearnerHyper(entropy_end=0.05)
    network = build_network(table, static)
    params = learner.init(jax.random.key(0), table, static, hyper).params
    rollout, _ = ppo.collect(jax.random.key(1), params, table, network, static, hyper)
    batch = ppo.to_batch(rollout, hyper)
    seen = gather_inputs(table, batch.query, batch.node)
    other = jax.tree.map(lambda leaf: leaf * 1.5, params)  # so that ratios are not 1
    gradient = jax.jit(jax.grad(partial(ppo.loss, network=network), has_aux=True))
    total, _ = ppo.loss(other, hyper, jnp.ones(()), 0.0, seen, batch, network)
    logits, values = map(np.asarray, network_outputs(network, other, seen))
    assert float(total) == pytest.approx(slow_loss(jax.device_get(batch), logits, values, hyper, 0.05), rel=1e-4)
    whole = gradient(other, hyper, jnp.ones(()), 0.0, seen, batch)
    halves = [jax.tree.map(lambda leaf, half=half: leaf[half], (seen, batch)) for half in (slice(20), slice(20, None))]
    parts = [gradient(other, hyper, jnp.ones(()), 0.0, *half) for half in halves]
    chex.assert_trees_all_close(whole, jax.tree.map(jnp.add, *parts), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("allow_stop", [False, True])
def test_it_reaches_the_oracle_where_every_query_can_be_told_apart(allow_stop):
    """Sixteen queries with embeddings of their own: nothing but the learner stands between it and the oracle."""
    table = random_table(seed=3, queries=16, embedding=16, splits=("train",))
    device = on_device(table)
    static = LearnerStatic(num_envs=256, num_updates=150, hidden=(64, 64), allow_stop=allow_stop)
    hyper = LearnerHyper(reward=RewardWeights(hop_cost=0.0), weight_decay=0.0)
    state, metrics = jax.jit(lambda key, t: learner.train(key, t, t, static, hyper))(jax.random.key(0), device)
    best = (oracle_stop if allow_stop else oracle_fixed)(table)
    ceiling = table.quality[np.arange(16), best].mean()
    assert float(state.best_return) >= 0.97 * ceiling
    assert float(metrics["validation_return"][0]) < 0.9 * ceiling


def test_a_costly_hop_is_not_taken():
    """With a high cost weight the router that may stop makes one call, the one that may not makes three."""
    device = on_device(random_table(queries=8, splits=("train",)))
    hyper = LearnerHyper(reward=RewardWeights(hop_cost=5.0), entropy=0.01)
    for allow_stop, hops in ((True, 1), (False, 3)):
        static = LearnerStatic(num_envs=256, num_updates=40, hidden=(32, 32), allow_stop=allow_stop)
        state, _ = jax.jit(lambda key, t, s=static: learner.train(key, t, t, s, hyper))(jax.random.key(0), device)
        ends = run_policy(static, state.params, device).greedy_ends().argmax(axis=1)
        assert device.tree.stages[np.asarray(ends)].tolist() == [hops] * 8


def test_an_update_is_counted_and_says_what_the_episodes_earned_and_cost():
    """4,096 episodes of a policy that stands still: means within four standard errors, and nothing is clipped."""
    metrics, expected, count = standing_still("ppo", 4096)
    assert count == 3
    for name in ("train_return", "train_cost"):
        assert metrics[name] == pytest.approx(expected[name], abs=4 * 0.5 / 64), name
    for name in ("policy_loss", "approx_kl", "clip_fraction"):
        assert metrics[name] == pytest.approx(0.0, abs=1e-5), name
    assert 0 < metrics["entropy"] < np.log(3)
    assert metrics["value_loss"] > 0
