"""Settings that all tests share."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
from hypothesis import settings

# Tests compile much and compute little: few optimisations halve the time. Processes that they start are not affected.
jax.config.update("jax_disable_most_optimizations", True)
settings.register_profile("default", deadline=None, max_examples=15, derandomize=True)
settings.load_profile("default")
