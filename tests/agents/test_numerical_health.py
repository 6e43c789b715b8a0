"""Rewards, masks, shapes and embeddings at their extremes: finite losses and gradients, and the right optimum."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.batching import in_units, reward_unit
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.outcomes.table import OutcomeTable
from tests.agents.trees import on_device
from tests.tables import random_table

STATIC = LearnerStatic(num_envs=32, num_updates=100, evaluate_every=20, hidden=(32, 32), allow_stop=True)
PLAIN = RewardWeights(hop_cost=0.05)
REWARDS = {
    "reward 1e6": RewardWeights(terminal_quality=1e6),
    "reward -1e6": RewardWeights(terminal_quality=-1e6),
    "both huge": RewardWeights(terminal_quality=1e6, hop_cost=1e6),
    "huge cost weight": RewardWeights(hop_cost=1e6),
    "huge negative cost weight": RewardWeights(hop_cost=-1e6),
    "no reward at all": RewardWeights(terminal_quality=0.0, hop_cost=0.0),
}


def one_action(table: OutcomeTable) -> OutcomeTable:
    """One model, another one for every query, is all that may be called at each node."""
    available = np.zeros_like(table.available)
    available[:, 0] = True
    for node in range(table.tree.num_decision_nodes):
        for query in range(table.num_queries):
            available[query, table.tree.child(node, (query + node) % table.tree.num_models)] = available[query, node]
    return without(table, available)


def without(table: OutcomeTable, available: np.ndarray) -> OutcomeTable:
    """The table with some hops never run."""
    numbers = {name: getattr(table, name) * available for name in ("quality", "tokens_in", "tokens_out")}
    response = np.where(available, table.response, "").astype(object)
    details = {"finish_reason": np.where(available, "stop", "").astype(object)}
    return replace(table, available=available, response=response, details=details, **numbers)


def table_of(case: str) -> OutcomeTable:
    shape = {"one query": {"queries": 1}, "one model": {"models": 1, "horizon": 3}, "one hop": {"horizon": 1}}
    shape |= {"six hops": {"horizon": 6, "queries": 4}}
    table = random_table(5, **{"queries": 8, "models": 2, "horizon": 2, "splits": ("train",)} | shape.get(case, {}))
    if case == "one action":
        return one_action(table)
    if case == "constant embeddings":  # with the same tokens, nothing tells two queries apart
        same = {name: np.where(table.available, 10, 0).astype(np.int32) for name in ("tokens_in", "tokens_out")}
        same = {name: np.where(np.arange(table.tree.num_nodes) > 0, value, 0) for name, value in same.items()}
        return replace(table, context_embedding=np.ones_like(table.context_embedding), **same)
    if case == "half precision":
        return replace(table, context_embedding=table.context_embedding.astype(np.float16))
    if case == "huge embeddings":
        return replace(table, context_embedding=table.context_embedding * 1e6)
    return table


def optimum(table: OutcomeTable, reward: RewardWeights, normaliser: float = 5.0) -> np.ndarray:
    """The best return of each query, by recursion over its tree in double precision."""
    tree = table.tree

    def best(query: int, node: int, stage: int) -> float:
        answer = reward.terminal_quality * float(table.quality[query, node])
        children = [tree.child(node, model) for model in range(tree.num_models)] if stage < tree.horizon else []
        going = [child for child in children if table.available[query, child]]
        ways = [best(query, c, stage + 1) - reward.hop_cost * float(table.cost[query, c]) / normaliser for c in going]
        return max([*ways, answer] if stage else ways) if going else answer

    return np.array([best(query, 0, 0) for query in range(table.num_queries)])


def best_fixed(table: OutcomeTable, reward: RewardWeights, normaliser: float = 5.0) -> float:
    """The best mean return of one route for all queries, where nothing tells queries apart."""
    spent = np.zeros(table.quality.shape)
    for node in range(1, table.tree.num_nodes):
        spent[:, node] = spent[:, table.tree.parent(node)] + table.cost[:, node] / normaliser
    return float((reward.terminal_quality * table.quality - reward.hop_cost * spent)[:, 1:].mean(axis=0).max())


@cache
def program(algorithm: str):
    """The whole run, compiled once for each shape of table."""
    static = replace(STATIC, algorithm=algorithm)

    def run(key, table, reward):
        hyper = LearnerHyper(weight_decay=0.0, learning_rate=3e-3, reward=reward)
        return learner.train(key, table, table, static, hyper)

    return jax.jit(run)


def trained(algorithm: str, table: OutcomeTable, reward: RewardWeights) -> float:
    """The mean return that a run reaches; every number on the way, and every parameter, must be finite."""
    reward = jax.tree.map(jnp.float32, reward)
    state, metrics = program(algorithm)(jax.random.key(0), on_device(table), reward)
    for path, leaf in jax.tree_util.tree_leaves_with_path((state.params, state.optimizer, metrics)):
        assert np.isfinite(leaf).all(), jax.tree_util.keystr(path)
    return float(state.best_return)


def assert_best(found: float, best: float, reward: RewardWeights) -> None:
    """Within a fiftieth of the best return, or of what the largest weight makes of a whole answer."""
    scale = max(abs(reward.terminal_quality), abs(reward.hop_cost), abs(best))
    assert best - 0.02 * scale <= found <= best + 1e-5 * scale


@pytest.mark.parametrize("algorithm", ["exact", "ppo"])
@pytest.mark.parametrize("name", REWARDS)
def test_extreme_rewards_are_learnt(name, algorithm):
    table = table_of("plain")
    assert_best(trained(algorithm, table, REWARDS[name]), optimum(table, REWARDS[name]).mean(), REWARDS[name])


@pytest.mark.extended
@pytest.mark.parametrize("name", [*REWARDS, "tiny rewards"])
def test_extreme_rewards_are_learnt_in_closed_form(name):
    """At a millionth sampled PPO is left out: the entropy bonus and the error of its value estimates are larger."""
    reward = (REWARDS | {"tiny rewards": RewardWeights(terminal_quality=1e-6, hop_cost=0.0)})[name]
    for algorithm in ("all-actions", "exact"):
        assert_best(trained(algorithm, table_of("plain"), reward), optimum(table_of("plain"), reward).mean(), reward)


CHEAP = ["one action", "constant embeddings", "huge embeddings"]  # of the same shape as the plain table
SHAPES = ["half precision", "one query", "one model", "one hop", "six hops"]


def test_rewards_of_a_million_are_not_learnt_without_their_unit(monkeypatch):
    """The planted fault: counted as they are, they leave nothing of the gradient to the policy."""
    monkeypatch.setattr(learner, "reward_unit", lambda weights: jnp.ones(()))
    program.cache_clear()
    found = trained("ppo", table_of("plain"), REWARDS["reward 1e6"])
    program.cache_clear()
    with pytest.raises(AssertionError):
        assert_best(found, optimum(table_of("plain"), REWARDS["reward 1e6"]).mean(), REWARDS["reward 1e6"])


@pytest.mark.parametrize("largest", [0.01, 1.0, 10.0])
def test_rewards_of_an_ordinary_size_are_counted_as_they_are(largest):
    weights = RewardWeights(terminal_quality=0.5, damage=-largest)
    assert float(reward_unit(weights)) == 1.0
    counted = in_units(RewardWeights(terminal_quality=0.5, damage=-40.0, overrun_limit=7.0), jnp.float32(4.0))
    assert (counted.terminal_quality, counted.damage, counted.overrun_limit) == (0.125, -10.0, 7.0)


def best_of(case: str, reward: RewardWeights) -> float:
    table = table_of(case)
    return best_fixed(table, reward) if case == "constant embeddings" else float(optimum(table, reward).mean())


@pytest.mark.parametrize("algorithm", ["exact", "ppo"])
@pytest.mark.parametrize("case", CHEAP)
def test_odd_tables_are_learnt(case, algorithm):
    assert_best(trained(algorithm, table_of(case), PLAIN), best_of(case, PLAIN), PLAIN)


@pytest.mark.parametrize("case", ["one hop", "six hops"])
def test_tables_of_odd_shapes_are_learnt(case):
    assert_best(trained("exact", table_of(case), PLAIN), best_of(case, PLAIN), PLAIN)


@pytest.mark.extended
@pytest.mark.parametrize("algorithm", ["exact", "ppo", "all-actions"])
@pytest.mark.parametrize("reward", [PLAIN, REWARDS["reward 1e6"], REWARDS["reward -1e6"]], ids=["plain", "1e6", "-1e6"])
@pytest.mark.parametrize("case", [*CHEAP, *SHAPES])
def test_every_learner_learns_odd_tables_at_any_reward(case, reward, algorithm):
    assert_best(trained(algorithm, table_of(case), reward), best_of(case, reward), reward)
