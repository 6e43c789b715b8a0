"""What tests of learners on whole trees share: a small learner without noise, tables on the device, exact losses."""

import jax
import numpy as np

from hierrouter_jax.agents import exact, learner
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.baselines.oracle import oracle_fixed, oracle_stop
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.envs.types import DeviceTable, device_table
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
