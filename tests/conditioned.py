"""Conditioned routers with random weights on a random table whose charges are known."""

from dataclasses import replace

import jax
import numpy as np

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.training.features import fit_features
from hierrouter_jax.training.router import TrainedRouter
from tests.tables import random_table

LONGEST = 29  # tokens; a random table's responses are no longer


def with_limit(table: OutcomeTable, limit: int | None = LONGEST) -> OutcomeTable:
    """The table, its models allowed to write `limit` tokens a call."""
    return replace(table, pool=tuple(replace(member, max_new_tokens=limit) for member in table.pool))


def priced_table(**arguments) -> OutcomeTable:
    """A random table whose charges are known."""
    return with_limit(random_table(**arguments))


def random_router(table: OutcomeTable, seed: int = 0, **static) -> TrainedRouter:
    """One seed, never trained, with weights large enough for its choices to depend on everything it sees."""
    shapes = LearnerStatic(**{"hidden": (16, 16), "stage_size": 4} | static)
    hyper = LearnerHyper(reward=RewardWeights(hop_cost=0.02))
    features = fit_features(table.split("train"), 6)
    state = learner.init(jax.random.key(seed), features.on_device(table), shapes, hyper)
    rng = np.random.default_rng(seed)
    noisy = jax.tree.map(lambda leaf: leaf + rng.normal(size=leaf.shape).astype(np.float32) / 3, state.params)
    state = jax.tree.map(lambda leaf: leaf[None], replace(state, best_params=noisy, best_return=np.zeros(())))
    return TrainedRouter("exact+stop" if shapes.allow_stop else "exact", shapes, hyper, state, features)
