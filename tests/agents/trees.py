"""What tests of learners on whole trees share: a small learner without noise, tables on the device, exact losses."""

from dataclasses import replace

import jax
import numpy as np

from hierrouter_jax.agents import exact, learner
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.baselines.oracle import oracle_fixed, oracle_stop
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.envs.types import DeviceTable, device_table
from hierrouter_jax.evaluation.exact import expected_return, reach_probability
from hierrouter_jax.evaluation.tree_policy import run_policy
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.policies.network import build_network
from tests.tables import random_table

SMALL = LearnerStatic(algorithm="exact", num_envs=32, num_updates=10, epochs=2, minibatches=2, hidden=(8, 8))


FIXED = LearnerHyper(entropy=0.0, dropout=0.0)


def on_device(table: OutcomeTable, cost_normaliser: float = 5.0) -> DeviceTable:
    return device_table(table, table.context_embedding, cost_normaliser)


def loss_of(static, hyper, table, told):
    network = build_network(table, static)
    return network, jax.jit(lambda params: exact.objective(params, table, told, network, static, hyper, 0.0)[0])


def standing_still(algorithm: str, num_envs: int = 32) -> tuple[dict[str, float], dict[str, float], int]:
    """Metrics of a learner's third update at a learning rate of 0, what they are by exact evaluation, and its count.

    One query, so that it is always the one that is drawn, and no guidance: the policy is the fresh network's.
    """
    device = on_device(random_table(seed=8, queries=1, models=2, missing=0.2))
    static = replace(SMALL, algorithm=algorithm, allow_stop=True, num_envs=num_envs)
    hyper = replace(FIXED, learning_rate=0.0, guidance=0.0, reward=RewardWeights(hop_cost=0.3, damage=0.2))
    state = learner.init(jax.random.key(1), device, static, hyper)
    state = replace(state, params=jax.tree.map(lambda leaf: 2 * leaf, state.params))
    update = jax.jit(lambda state: learner.update(state, device, static, hyper))
    metrics = {}
    for _ in range(3):
        state, metrics = update(state)
    policy = run_policy(static, state.params, device)
    log_probs, mask = np.asarray(policy.log_probs()), np.asarray(policy.mask)
    probs = np.exp(log_probs)
    reach = np.asarray(reach_probability(jax.numpy.asarray(probs), device.tree))
    entropy = -(np.where(mask, probs * log_probs, 0.0)).sum(-1)
    expected = {
        "train_return": float(expected_return(jax.numpy.asarray(probs), device, hyper.reward)[0]),
        "train_cost": float((reach * device.cost).sum()),
        "entropy": float((reach[:, : device.tree.num_decision_nodes] * entropy).sum()),
        "hops": float(reach[:, 1:].sum()),
    }
    return {name: float(value) for name, value in metrics.items()}, expected, int(state.update)


def reached_share(algorithm: str, allow_stop: bool) -> float:
    """The trained policy's share of the oracle's return on sixteen queries that can be told apart."""
    table = random_table(seed=3, queries=16, embedding=16, splits=("train",))
    static = LearnerStatic(
        algorithm=algorithm, num_envs=32, num_updates=80, evaluate_every=20, hidden=(64, 64), allow_stop=allow_stop
    )
    hyper = LearnerHyper(reward=RewardWeights(hop_cost=0.0), weight_decay=0.0)
    run = jax.jit(lambda key, table: learner.train(key, table, table, static, hyper)[0].best_return)
    best = (oracle_stop if allow_stop else oracle_fixed)(table)
    return float(run(jax.random.key(0), on_device(table))) / table.quality[np.arange(16), best].mean()
