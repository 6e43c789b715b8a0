"""Draws of values that seeds and queries cross, whose true mean is known."""

import numpy as np
from jaxtyping import Float


def draws(rng: np.random.Generator, count: int, seeds: int, queries: int, spread: float) -> Float[np.ndarray, "R S Q"]:
    """Paired differences of answers right or wrong, true mean 0: most are 0, queries differ, and so do seeds.

    Args:
      spread: standard deviation of the seeds' effects, over that of the mean over queries.
    """
    query = rng.choice([-1.0, 0.0, 1.0], size=(count, 1, queries), p=[0.1, 0.8, 0.1])
    each = rng.choice([-1.0, 0.0, 1.0], size=(count, seeds, queries), p=[0.1, 0.8, 0.1])
    return query + each + spread * np.sqrt(0.2 / queries) * rng.normal(size=(count, seeds, 1))
