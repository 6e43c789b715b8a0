"""PPO's objective over all actions against the exact gradient, and that it learns."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.agents import all_actions, learner
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.evaluation.tree_policy import run_network
from hierrouter_jax.policies.conditions import Conditions
from tests.agents.trees import FIXED, SMALL, loss_of, on_device, reached_share, standing_still
from tests.tables import random_table


def test_all_actions_first_step_is_the_exact_gradients_but_for_a_factor():
    """At ratio 1 the clipped objective's gradient is the policy gradient, divided by the advantages' spread."""
    device = on_device(random_table(seed=4, queries=16, missing=0.2))
    static = replace(SMALL, algorithm="all-actions", allow_stop=True)
    hyper = replace(FIXED, gamma=0.9, reward=RewardWeights(hop_cost=0.05, damage=0.3))
    params = learner.init(jax.random.key(0), device, static, hyper).params
    network, whole = loss_of(static, hyper, device, Conditions())
    old = all_actions.old_policy(params, device, Conditions(), network, static, hyper)
    zero = jnp.zeros(())
    ours, theirs = (
        jax.flatten_util.ravel_pytree(jax.jit(jax.grad(f))(params))[0]
        for f in (lambda p: all_actions.loss(p, device, old, network, static, hyper, zero)[0], whole)
    )
    assert float(jnp.dot(ours, theirs) / (jnp.linalg.norm(ours) * jnp.linalg.norm(theirs))) > 0.9999


def test_the_divergence_is_that_of_both_policies_where_the_old_one_comes():
    device = on_device(random_table(seed=5, queries=6, models=2, missing=0.2))
    static = replace(SMALL, algorithm="all-actions", allow_stop=True)
    params = learner.init(jax.random.key(0), device, static, FIXED).params
    network = loss_of(static, FIXED, device, Conditions())[0]
    old = all_actions.old_policy(params, device, Conditions(), network, static, FIXED)
    moved = jax.tree.map(lambda leaf: jnp.sin(50 * leaf), params)  # any other policy
    _, metrics = all_actions.loss(moved, device, old, network, static, FIXED, jnp.zeros(()))
    policy = run_network(network, moved, device, Conditions(), True, FIXED.ranges)
    apart = jnp.where(policy.mask & (old.weight > 0), old.weight * (old.log_probs - policy.log_probs()), 0.0)
    assert metrics["approx_kl"] > 1e-3
    assert float(metrics["approx_kl"]) == pytest.approx(float(apart.sum() / old.weight.sum()), rel=1e-4)


@pytest.mark.parametrize("allow_stop", [False, True])
def test_it_reaches_the_oracle_where_every_query_can_be_told_apart(allow_stop):
    assert reached_share("all-actions", allow_stop) >= 0.97


def test_an_update_is_counted_and_says_what_the_policy_earns_and_costs():
    """A policy that stands still: no divergence, nothing clipped, and advantages of mean 0 lose nothing."""
    metrics, expected, count = standing_still("all-actions")
    assert count == 3
    for name in ("train_return", "train_cost"):
        assert metrics[name] == pytest.approx(expected[name], rel=1e-5), name
    for name in ("policy_loss", "approx_kl", "clip_fraction"):
        assert metrics[name] == pytest.approx(0.0, abs=1e-6), name
    assert 0 < metrics["entropy"] < np.log(3)
