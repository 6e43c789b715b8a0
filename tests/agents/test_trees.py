"""Learning from whole hop trees: the closed forms against slow walks, sampling and finite differences."""

from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierrouter_jax.agents import all_actions, exact, learner, ppo
from hierrouter_jax.agents.batching import draw_conditions, tree_rewards
from hierrouter_jax.agents.fit_prior import imitation_loss
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.baselines.oracle import oracle_fixed, oracle_return, oracle_stop
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.envs.routing import decision_masks
from hierrouter_jax.envs.types import DeviceTable, accumulate_cost, device_table
from hierrouter_jax.evaluation.exact import (
    action_values,
    expected_return,
    node_values,
    optimal_action_values,
    reach_probability,
)
from hierrouter_jax.evaluation.tree_policy import run_network
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.policies.conditions import Conditions
from hierrouter_jax.policies.network import build_network
from tests.tables import random_table, tables

SHAPINGS = st.builds(
    RewardWeights,
    terminal_quality=st.sampled_from([0.0, 1.0]),
    hop_cost=st.sampled_from([0.0, 0.3]),
    quality_gain=st.sampled_from([0.0, 0.5]),
    damage=st.sampled_from([0.0, 0.7]),
)
SMALL = LearnerStatic(algorithm="exact", num_envs=32, num_updates=10, epochs=2, minibatches=2, hidden=(8, 8))
FIXED = LearnerHyper(entropy=0.0, dropout=0.0)


def on_device(table: OutcomeTable, cost_normaliser: float = 5.0) -> DeviceTable:
    return device_table(table, table.context_embedding, cost_normaliser)


def random_policy(table: DeviceTable, mask, seed: int):
    logits = jax.random.normal(jax.random.key(seed), mask.shape)
    return jax.nn.softmax(jnp.where(mask, logits, -jnp.inf), axis=-1)


def slow_value(table, probs, mask, weights, gamma, query, node, best=False):
    """V by recursion over one query's tree, rewards written out."""
    tree, host = table.tree, table
    children = [tree.child(node, m) for m in range(tree.num_models)]
    if node >= tree.num_decision_nodes or not any(host.available[query, c] for c in children):
        return 0.0, {}
    actions = {}
    for model, child in enumerate(children):
        if not host.available[query, child]:
            continue
        below, _ = slow_value(table, probs, mask, weights, gamma, query, child, best)
        before, after = host.quality[query, node], host.quality[query, child]
        ends = child >= tree.num_decision_nodes or not any(
            host.available[query, tree.child(child, m)] for m in range(tree.num_models)
        )
        actions[model] = (
            weights.terminal_quality * after * ends
            - weights.hop_cost * host.cost[query, child]
            + weights.quality_gain * (after - before)
            - weights.damage * (before >= 0.5 > after)
            + gamma * below
        )
    if mask[query, node, -1]:
        actions[tree.num_models] = weights.terminal_quality * host.quality[query, node]
    if best:
        return max(actions.values()), actions
    return sum(float(probs[query, node, a]) * value for a, value in actions.items()), actions


@settings(max_examples=8, deadline=None)
@given(tables(), SHAPINGS, st.booleans(), st.sampled_from([1.0, 0.8]), st.integers(0, 99))
def test_values_are_those_of_the_slow_walk(table, weights, allow_stop, gamma, seed):
    device = on_device(table)
    mask = decision_masks(device, allow_stop)
    probs = random_policy(device, mask, seed)
    host = jax.device_get((device, probs, mask))
    values = node_values(probs, device, weights, gamma)
    per_action = action_values(probs, device, weights, gamma)
    best = optimal_action_values(device, weights, mask, gamma)
    for query in range(device.num_queries):
        for node in range(device.tree.num_decision_nodes):
            if not table.available[query, node]:
                continue
            value, actions = slow_value(*host, weights, gamma, query, node)
            assert float(values[query, node]) == pytest.approx(value, abs=1e-4)
            _, best_actions = slow_value(*host, weights, gamma, query, node, best=True)
            for action in actions:
                assert float(per_action[query, node, action]) == pytest.approx(actions[action], abs=1e-4)
                assert float(best[query, node, action]) == pytest.approx(best_actions[action], abs=1e-4)


@settings(max_examples=10, deadline=None)
@given(tables(), st.booleans(), st.sampled_from([0.0, 0.05]))
def test_backward_induction_finds_the_oracles_return(table, allow_stop, cost_weight):
    """With STOP and without, on whole trees and on those with hops missing; gamma = 1."""
    device = on_device(table, cost_normaliser=1.0)
    weights = RewardWeights(hop_cost=cost_weight)
    best = optimal_action_values(device, weights, decision_masks(device, allow_stop))[:, 0].max(axis=-1)
    nodes = oracle_return(table, cost_weight, allow_stop)
    spent = accumulate_cost(table.cost, table.tree)
    values = (table.quality - cost_weight * spent)[np.arange(table.num_queries), nodes]
    np.testing.assert_allclose(best, values, atol=1e-4)


@settings(max_examples=10, deadline=None)
@given(tables(), st.booleans(), st.integers(0, 99))
def test_every_stage_is_reached_with_what_is_left_of_the_episodes(table, allow_stop, seed):
    device = on_device(table)
    mask = decision_masks(device, allow_stop)
    probs = random_policy(device, mask, seed)
    reach = reach_probability(probs, device.tree)
    going = jnp.ones(device.num_queries)
    for stage in range(device.tree.horizon):
        here = device.tree.stage_slice(stage)
        np.testing.assert_allclose(reach[:, here].sum(axis=1), going, atol=1e-5)
        going = going - jnp.sum(reach[:, here] * probs[:, here, -1], axis=1)


def loss_of(static, hyper, table, told):
    network = build_network(table, static)
    return network, jax.jit(lambda params: exact.objective(params, table, told, network, static, hyper, 0.0)[0])


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


def test_all_actions_first_step_is_the_exact_gradients_but_for_a_factor():
    """At ratio 1 the clipped objective's gradient is the policy gradient, divided by the advantages' spread."""
    device = on_device(random_table(seed=4, queries=16, missing=0.2))
    static = replace(SMALL, algorithm="all-actions", allow_stop=True)
    hyper = replace(FIXED, gamma=0.9, reward=RewardWeights(hop_cost=0.05, damage=0.3))
    params = learner.init(jax.random.key(0), device, static, hyper).params
    network, whole = loss_of(static, hyper, device, Conditions())
    old = all_actions.acted(params, device, Conditions(), network, static, hyper)
    zero = jnp.zeros(())
    ours, theirs = (
        jax.flatten_util.ravel_pytree(jax.jit(jax.grad(f))(params))[0]
        for f in (lambda p: all_actions.loss(p, device, old, network, static, hyper, zero)[0], whole)
    )
    assert float(jnp.dot(ours, theirs) / (jnp.linalg.norm(ours) * jnp.linalg.norm(theirs))) > 0.9999


@pytest.mark.parametrize("algorithm", ["exact", "all-actions"])
@pytest.mark.parametrize("allow_stop", [False, True])
def test_they_reach_the_oracle_where_every_query_can_be_told_apart(algorithm, allow_stop):
    table = random_table(seed=3, queries=16, embedding=16, splits=("train",))
    device = on_device(table)
    static = LearnerStatic(
        algorithm=algorithm, num_envs=32, num_updates=80, evaluate_every=20, hidden=(64, 64), allow_stop=allow_stop
    )
    hyper = LearnerHyper(reward=RewardWeights(hop_cost=0.0), weight_decay=0.0)
    state, _ = jax.jit(lambda key, t: learner.train(key, t, t, static, hyper))(jax.random.key(0), device)
    best = (oracle_stop if allow_stop else oracle_fixed)(table)
    assert float(state.best_return) >= 0.97 * table.quality[np.arange(16), best].mean()


def test_the_warm_start_imitates_the_best_actions_by_hand():
    """One query, M = 2, L = 1, qualities 1 and .25: at even odds the cross-entropy to the first is log 2."""
    table = random_table(queries=1, models=2, horizon=1, splits=("train",))
    table = replace(table, quality=np.array([[0.0, 1.0, 0.25]], np.float32))
    device = on_device(table)
    static = replace(SMALL, hidden=(4,))
    state = learner.init(jax.random.key(0), device, static, FIXED)
    even = jax.tree.map(jnp.zeros_like, state.params)
    network = build_network(device, static)
    loss = imitation_loss(even, device, Conditions(), network, static, FIXED)
    assert float(loss) == pytest.approx(np.log(2), abs=1e-6)
    same = replace(device, quality=jnp.array([[0.0, 1.0, 1.0]]), cost=jnp.zeros((1, 3)))
    shared = imitation_loss(even, same, Conditions(), network, static, FIXED)
    assert float(shared) == pytest.approx(np.log(2), abs=1e-6)  # the entropy of two equally good actions


def test_a_warm_start_is_nearly_there_before_the_first_update():
    table = random_table(seed=3, queries=16, embedding=16, splits=("train",))
    device = on_device(table)
    hyper = LearnerHyper(reward=RewardWeights(hop_cost=0.0), weight_decay=0.0, learning_rate=3e-3)
    returns = {}
    for epochs in (0, 100):
        static = LearnerStatic(num_envs=32, hidden=(64, 64), warm_start=epochs)
        state = jax.jit(lambda key, t, s=static: learner.init(key, t, s, hyper))(jax.random.key(0), device)
        returns[epochs] = float(learner.validate(state, device, static, hyper)[0].best_return)
    best = table.quality[np.arange(16), oracle_fixed(table)].mean()
    assert returns[100] > 0.9 * best > 1.3 * returns[0]


@pytest.mark.parametrize("algorithm", ["all-actions", "ppo"])
def test_conditioned_runs_trace_once_and_stay_finite(algorithm):
    chex.clear_trace_counter()
    table = random_table(seed=1, queries=12, missing=0.3)
    device = on_device(replace(table, pool=tuple(replace(m, max_new_tokens=30) for m in table.pool)))
    static = replace(SMALL, algorithm=algorithm, cost_conditioned=True, budgeted=True, warm_start=2)
    run = jax.jit(
        chex.assert_max_traces(lambda key, table, hyper: learner.train(key, table, table, static, hyper), n=1)
    )
    for seed in range(2):
        hyper = jax.tree.map(jnp.asarray, LearnerHyper(dropout=0.1 * seed))
        state, metrics = run(jax.random.key(seed), device, hyper)
    chex.assert_tree_all_finite((state.params, metrics))
    assert state.params["params"]["hidden_0"]["kernel"].shape[0] == 8 + static.stage_size + 1 + 2


def test_a_cost_conditioned_policy_moves_along_the_front():
    """Told that cost is dear it makes fewer hops than told that it is cheap, from one training."""
    table = random_table(seed=5, queries=24, embedding=24, splits=("train",))
    device = on_device(table)
    static = LearnerStatic(
        algorithm="exact", num_envs=48, num_updates=60, allow_stop=True, cost_conditioned=True, evaluate_every=20
    )
    hyper = LearnerHyper(weight_decay=0.0, learning_rate=3e-3)
    state, _ = jax.jit(lambda key, t: learner.train(key, t, t, static, hyper))(jax.random.key(0), device)
    network = build_network(device, static)
    returns = []
    for weight in (0.001, 0.3):
        told = Conditions(cost_weight=jnp.full(24, weight))
        policy = run_network(network, state.best_params, device, told, static.allow_stop, hyper.ranges)
        log_probs = policy.log_probs()
        probs = jnp.exp(log_probs)
        spent = -expected_return(probs, device, RewardWeights(terminal_quality=0.0, hop_cost=1.0)).mean()
        quality = expected_return(probs, device, RewardWeights(hop_cost=0.0)).mean()
        returns.append((float(spent), float(quality)))
        told_rewards = tree_rewards(hyper, told)
        assert told_rewards.hop_cost.shape == (24, 1)
    (cheap_spent, cheap_quality), (dear_spent, dear_quality) = returns
    assert cheap_spent > 1.2 * dear_spent
    assert cheap_quality > dear_quality
