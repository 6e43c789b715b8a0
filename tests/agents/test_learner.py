"""A whole run as one pure function: traced once, the same in a batch or cut in two, chosen by exact validation."""

from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.batching import tree_rewards
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.exact import (
    expected_return,
)
from hierrouter_jax.evaluation.tree_policy import run_network
from hierrouter_jax.policies.conditions import Conditions
from hierrouter_jax.policies.network import build_network
from tests.agents.trees import FIXED, SMALL, on_device
from tests.tables import random_table

PPO = LearnerStatic(num_envs=64, num_updates=10, epochs=2, minibatches=2, hidden=(16, 16), stage_size=4)


def test_a_whole_run_traces_once_for_all_numbers_and_tables():
    run = jax.jit(
        chex.assert_max_traces(lambda key, table, hyper: learner.train(key, table, table, PPO, hyper)[1], n=1)
    )
    for seed, rate in ((0, 1e-3), (1, 3e-3)):
        hyper = jax.tree.map(jnp.asarray, LearnerHyper(learning_rate=rate, reward=RewardWeights(hop_cost=0.1 * seed)))
        metrics = run(jax.random.key(seed), on_device(random_table(seed=seed)), hyper)
    assert metrics["train_return"].shape == (2, 5)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in metrics.values())


def test_updates_keep_every_type_so_that_the_second_compiles_nothing():
    table = on_device(random_table(queries=12))
    before = jax.eval_shape(lambda: learner.init(jax.random.key(0), table, PPO, LearnerHyper()))
    after, _ = jax.eval_shape(lambda state: learner.advance(state, table, table, PPO, LearnerHyper()), before)
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert (old.shape, old.dtype, old.weak_type) == (new.shape, new.dtype, new.weak_type)


def test_a_batch_of_seeds_by_lax_map_is_bit_equal_to_each_alone():
    table = on_device(random_table(queries=12))
    keys = jax.vmap(jax.random.key)(jnp.arange(3))

    def run(key, table):
        return learner.train(key, table, table, PPO, LearnerHyper())[0].params

    together = jax.jit(lambda keys, table: jax.lax.map(lambda key: run(key, table), keys))(keys, table)
    for seed in range(3):
        alone = jax.jit(run)(keys[seed], table)
        chex.assert_trees_all_equal(alone, jax.tree.map(lambda leaf, s=seed: leaf[s], together))


def test_a_run_cut_in_two_is_bit_equal_to_the_whole():
    table = on_device(random_table(queries=12))
    whole, _ = jax.jit(lambda key, t: learner.train(key, t, t, PPO, LearnerHyper()))(jax.random.key(7), table)
    advance = jax.jit(lambda state, t: learner.advance(state, t, t, PPO, LearnerHyper())[0])
    state = learner.init(jax.random.key(7), table, PPO, LearnerHyper())
    for _ in range(2):
        state = advance(
            jax.device_put(jax.device_get(state.replace(key=jax.random.key_data(state.key)))).replace(key=state.key),
            table,
        )
    chex.assert_trees_all_equal(whole.params, state.params)
    chex.assert_trees_all_equal(whole.best_params, state.best_params)


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
    """Told that cost is dear it spends less than told that it is cheap, and answers no better, from one training."""
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
    assert cheap_quality > dear_quality - 1e-3


def test_validation_is_the_greedy_policys_exact_return_by_hand():
    """Without preferences model 0 is called at every hop; the state keeps its return, accuracy and parameters."""
    host = random_table(queries=6, models=2, horizon=2)
    table, hyper = on_device(host), LearnerHyper(reward=RewardWeights(hop_cost=0.5))
    state = learner.init(jax.random.key(0), table, SMALL, hyper)
    blank = jax.tree.map(jnp.zeros_like, state.params)
    new, metrics = learner.validate(state.replace(params=blank, update=jnp.asarray(3)), table, SMALL, hyper)
    end = host.tree.node([0, 0])
    cost = (host.cost[:, 1] + host.cost[:, end]) / 5
    assert float(metrics["validation_accuracy"]) == pytest.approx(host.quality[:, end].mean(), abs=1e-6)
    assert float(metrics["validation_cost"]) == pytest.approx(cost.mean(), abs=1e-5)
    assert float(metrics["validation_return"]) == pytest.approx((host.quality[:, end] - 0.5 * cost).mean(), abs=1e-5)
    assert (float(new.best_return), int(new.best_update)) == (float(metrics["validation_return"]), 3)
    chex.assert_trees_all_equal(new.best_params, blank)


def test_parameters_that_are_not_finite_are_never_the_best():
    assert bool(learner.all_finite({"a": jnp.ones(2), "b": jnp.zeros(())}))
    assert not bool(learner.all_finite({"a": jnp.ones(2), "b": jnp.array([0.0, jnp.inf])}))
    table = on_device(random_table(queries=6))
    state = learner.init(jax.random.key(0), table, SMALL, LearnerHyper())
    broken = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), state.params)
    new, metrics = learner.validate(state.replace(params=broken), table, SMALL, LearnerHyper())
    assert jnp.isnan(metrics["validation_return"])
    assert float(new.best_return) == -np.inf
    chex.assert_trees_all_equal(new.best_params, state.params)


def test_the_cost_weight_ascends_where_the_mean_cost_is_passed():
    """lambda <- lambda + rate (cost - mean cost), and never below 0."""
    table = on_device(random_table(queries=6))
    static = replace(SMALL, lagrangian=True)
    for mean_cost, rate in ((0.0, 0.5), (1e6, 0.5)):
        hyper = LearnerHyper(mean_cost=mean_cost, cost_weight_rate=rate, reward=RewardWeights(hop_cost=0.25))
        state = learner.init(jax.random.key(0), table, static, hyper)
        new, metrics = learner.update(state, table, static, hyper)
        expected = max(0.0, 0.25 + rate * (float(metrics["train_cost"]) - mean_cost))
        assert float(metrics["cost_weight"]) == 0.25
        assert float(new.cost_weight) == pytest.approx(expected, rel=1e-5)


OWN = """
def update(state, table, network, static, hyper):
    return CHANGE, METRICS
"""


@pytest.mark.parametrize(
    ("change", "metrics", "said"),
    [
        ("state", "{'train_return': table.quality.mean()}", None),
        (
            "state.replace(best_return=table.task)",
            "{'train_return': 0.0}",
            "best_return of the state",
        ),
        ("state", "{'train': 0.0}", "must hold train_return"),
        ("state", "{'train_return': table.quality}", "train_return is an array"),
    ],
)
def test_a_learner_of_ones_own_is_counted_and_checked(tmp_path, change, metrics, said):
    path = tmp_path / "own.py"
    path.write_text(OWN.replace("CHANGE", change).replace("METRICS", metrics))
    table, static = on_device(random_table(queries=6)), SMALL
    state = learner.init(jax.random.key(0), table, static, FIXED)
    update = learner.imported_update(f"{path}:update")
    if said is None:
        new, values = update(state, table, build_network(table, static), static, FIXED)
        assert int(new.update) == 1
        assert float(values["train_return"]) == float(table.quality.mean())
    else:
        with pytest.raises(InputError, match=said):
            update(state, table, build_network(table, static), static, FIXED)
