"""The exact learner's gradient against finite differences and sampling, and that it learns."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from hierrouter_jax.agents import exact, learner, ppo
from hierrouter_jax.agents.batching import draw_conditions
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.evaluation.tree_policy import run_network
from hierrouter_jax.policies.conditions import Conditions
from tests.agents.trees import FIXED, SMALL, loss_of, on_device, reached_share, standing_still
from tests.tables import random_table


@pytest.mark.parametrize(
    ("allow_stop", "conditions"), [(False, {}), (True, {"cost_conditioned": True}), (False, {"budgeted": True})]
)
def test_the_gradient_is_that_of_finite_differences(allow_stop, conditions):
    with jax.enable_x64(True):
        table = random_table(seed=2, queries=5, models=2, missing=0.3, horizon=2)
        table = replace(table, pool=tuple(replace(m, max_new_tokens=30) for m in table.pool))
        device = on_device(table)
        static = replace(SMALL, allow_stop=allow_stop, **conditions)
        hyper = replace(FIXED, reward=RewardWeights(hop_cost=0.1, quality_gain=0.3, damage=0.2))
        told = draw_conditions(jax.random.key(3), jnp.arange(5), device, static, hyper)
        state = learner.init(jax.random.key(0), device, static, hyper)
        params = jax.tree.map(lambda leaf: 2 * leaf.astype(jnp.float64), state.params)
        _, loss = loss_of(static, hyper, device, told)
        gradient = jax.grad(loss)(params)
        for seed in range(4):
            keys = jax.random.split(jax.random.key(seed), len(jax.tree.leaves(params)))
            leaves, structure = jax.tree.flatten(params)
            drawn = [jax.random.normal(k, leaf.shape, jnp.float64) for k, leaf in zip(keys, leaves, strict=True)]
            direction = jax.tree.unflatten(structure, drawn)
            ahead, behind = (loss(jax.tree.map(lambda p, d, s=s: p + s * d, params, direction)) for s in (1e-5, -1e-5))
            along = sum(jnp.sum(g * d) for g, d in zip(jax.tree.leaves(gradient), drawn, strict=True))
            assert float(along) == pytest.approx(float((ahead - behind) / 2e-5), rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("allow_stop", [False, True])
def test_the_gradient_is_the_mean_of_sampled_policy_gradients(allow_stop):
    """REINFORCE with rewards to go, over 100,000 episodes, must point the same way and be as long."""
    device = on_device(random_table(seed=4, queries=4, models=2, missing=0.2))
    static = replace(SMALL, algorithm="ppo", num_envs=100_000, allow_stop=allow_stop)
    hyper = replace(FIXED, reward=RewardWeights(hop_cost=0.05, damage=0.2))
    state = learner.init(jax.random.key(0), device, static, hyper)
    params = jax.tree.map(lambda leaf: 1.5 * leaf, state.params)
    network, loss = loss_of(static, hyper, device, Conditions())
    rollout, _ = ppo.collect(jax.random.key(1), params, device, network, static, hyper)
    to_go = jnp.cumsum(rollout.reward[::-1], axis=0)[::-1]

    def sampled(params):
        log_probs = run_network(network, params, device, Conditions(), static.allow_stop, hyper.ranges).log_probs()
        node = jnp.where(rollout.node < device.tree.num_decision_nodes, rollout.node, 0)
        taken = log_probs[rollout.query, node, rollout.action]
        return -jnp.mean(jnp.sum(jnp.where(rollout.alive, taken * to_go, 0.0), axis=0))

    ours, theirs = (jax.flatten_util.ravel_pytree(jax.grad(f)(params))[0] for f in (loss, sampled))
    cosine = jnp.dot(ours, theirs) / (jnp.linalg.norm(ours) * jnp.linalg.norm(theirs))
    assert float(cosine) > 0.99
    assert float(jnp.linalg.norm(ours) / jnp.linalg.norm(theirs)) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("allow_stop", [False, True])
def test_it_reaches_the_oracle_where_every_query_can_be_told_apart(allow_stop):
    assert reached_share("exact", allow_stop) >= 0.97


def test_an_update_is_counted_and_says_what_the_policy_earns_costs_and_leaves_open():
    metrics, expected, count = standing_still("exact")
    assert count == 3
    for name in ("train_return", "train_cost"):
        assert metrics[name] == pytest.approx(expected[name], rel=1e-5), name
    assert metrics["entropy"] == pytest.approx(expected["entropy"] / 3, rel=1e-5)  # a hop


def test_guidance_falls_with_the_updates_that_are_done():
    """After 5 of 10 updates a share of .8 that ends with them is as one of .4 at the start."""
    device = on_device(random_table(seed=8, queries=4, models=2))
    earned = []
    for guidance, done in ((0.8, 5), (0.4, 0)):
        hyper = replace(FIXED, guidance=guidance, guidance_until=1.0, learning_rate=0.0)
        state = replace(learner.init(jax.random.key(1), device, SMALL, hyper), update=jnp.asarray(done))
        earned.append(float(learner.update(state, device, SMALL, hyper)[1]["train_return"]))
    assert earned[0] == pytest.approx(earned[1], rel=1e-6)


def test_an_update_has_as_many_steps_as_epochs_times_minibatches_of_equal_parts_of_the_queries(monkeypatch):
    device = on_device(random_table(seed=8, queries=4, models=2))
    static = replace(SMALL, num_envs=6, epochs=2, minibatches=3)
    state = learner.init(jax.random.key(1), device, static, FIXED)
    sizes, draw = [], exact.draw_trees
    monkeypatch.setattr(
        exact, "draw_trees", lambda key, table, size, *more: sizes.append(size) or draw(key, table, size, *more)
    )
    after, _ = learner.update(state, device, static, FIXED)
    assert set(sizes) == {2}
    assert int(after.optimizer.count) == 6
