"""A table, a policy of it, and logs that others would have served: what tests of off-policy estimates share."""

from functools import cache

import numpy as np

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.outcomes.episodes import Episodes
from hierrouter_jax.outcomes.exploration import Exploration
from hierrouter_jax.studies.named_policy import named_policy, tree_probs
from hierrouter_jax.studies.simulate import simulate
from tests.tables import random_table

TABLE = random_table(seed=4, queries=120, horizon=2)
PART = TABLE.split("train")


@cache
def plan() -> PolicyBundle:
    """The plan that may stop, fitted on the table."""
    return named_policy("predict-then-plan+stop", TABLE)


def log(explore: str = "softmax:0.3", episodes: int = 2000, seed: int = 0, **options) -> Episodes:
    """Episodes that the plan would have served with some exploration."""
    probs = tree_probs(plan(), PART, Exploration.parse(explore))
    rng = np.random.default_rng(seed)
    queries = np.arange(PART.num_queries)
    return simulate(PART, probs, queries, episodes, rng, True, plan().fingerprint, explore, **options)
