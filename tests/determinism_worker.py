"""Exact evaluation, a short training and statistics in a process of its own; prints their numbers.

python -m tests.determinism_worker SEED DEVICES: a training of PPO is spread over so many devices.
"""

import json
import sys
from dataclasses import asdict, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.mesh import data_mesh, replicate
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs.routing import decision_masks
from hierrouter_jax.envs.types import DeviceTable, device_table
from hierrouter_jax.evaluation.exact import end_probability, expected_return, optimal_action_values
from hierrouter_jax.evaluation.intervals import (
    interquartile_mean_estimate,
    mean_interval,
    probability_of_improvement_estimate,
)
from hierrouter_jax.evaluation.off_policy import doubly_robust
from hierrouter_jax.evaluation.off_policy_intervals import skewness_interval
from hierrouter_jax.evaluation.paired import paired_difference, verdicts
from hierrouter_jax.studies.evaluate import evaluate
from hierrouter_jax.training.settings import TrainConfig
from hierrouter_jax.training.train import train_routers
from tests.tables import random_table

STATIC = LearnerStatic(num_envs=32, num_updates=10, hidden=(8,), minibatches=2, allow_stop=True)


def exact_evaluation(table: DeviceTable, seed: int) -> dict[str, Any]:
    """Of one stochastic policy, and of the best: returns and where episodes end."""
    mask = decision_masks(table, True)
    drawn = np.random.default_rng(seed).uniform(0.1, 1.0, mask.shape) * np.asarray(mask)
    probs = jnp.asarray(drawn / np.maximum(drawn.sum(-1, keepdims=True), 1e-9))
    reward = LearnerHyper().reward
    best = optimal_action_values(table, reward, mask, 0.9).max(axis=-1)
    return {
        "return": np.asarray(expected_return(probs, table, reward, 0.9)).tolist(),
        "best return": np.asarray(best)[:, 0].tolist(),
        "ends": np.asarray(end_probability(probs, table.tree)).tolist(),
    }


def spread_training(table: DeviceTable, seed: int, devices: int) -> dict[str, Any]:
    """One run of PPO whose episodes lie on so many devices."""
    static = replace(STATIC, algorithm="ppo")
    with data_mesh(devices):
        state, metrics = jax.jit(lambda key, table: learner.train(key, table, table, static, LearnerHyper()))(
            jax.random.key(seed), replicate(table)
        )
    leaves = jax.tree.leaves(state.best_params)
    return {
        "parameters": [np.asarray(leaf).ravel().tolist() for leaf in leaves],
        "train_return": np.asarray(metrics["train_return"]).ravel().tolist(),
    }


def statistics(seed: int) -> dict[str, Any]:
    """Intervals, a verdict and an off-policy estimate of drawn results."""
    rng = np.random.default_rng(seed)
    scores, others = rng.random((4, 50)), rng.random((4, 50))
    ratio, reward, q, v = (rng.random((50, 3)) for _ in range(4))
    estimate = doubly_robust(ratio, reward, q, v)
    return {
        "mean": mean_interval(scores[0], seed),
        "interquartile mean": [np.asarray(one).tolist() for one in interquartile_mean_estimate(scores, 200, seed)],
        "improvement": [np.asarray(one).tolist() for one in probability_of_improvement_estimate(scores, others, 200)],
        "verdicts": [asdict(one) for one in verdicts([paired_difference(scores, others)])],
        "doubly robust": skewness_interval(estimate, 50.0),
    }


def numbers(seed: int, devices: int) -> dict[str, Any]:
    host = random_table(seed, queries=48, missing=0.2)
    config = TrainConfig(("exact",), num_seeds=2, features=4, static=STATIC, checkpoint_every=10)
    routers, metrics = train_routers(host, config, progress=False)
    evaluation = evaluate(host, routers, routers["exact"].features, 0.01, "test")
    table = device_table(host, host.context_embedding, 5.0)
    return {
        "exact evaluation": exact_evaluation(table, seed),
        "training": {
            "best returns": [router.state.best_return.tolist() for router in routers.values()],
            "parameters": [
                np.asarray(leaf).ravel().tolist() for leaf in jax.tree.leaves(routers["exact"].state.best_params)
            ],
            "metrics": metrics.select_dtypes("number").fillna(-1.0).to_numpy().tolist(),
        },
        "evaluation": evaluation["policies"],
        "spread training": spread_training(table, seed, devices),
        "statistics": statistics(seed),
    }


if __name__ == "__main__":
    print(json.dumps(numbers(int(sys.argv[1]), int(sys.argv[2]))))
