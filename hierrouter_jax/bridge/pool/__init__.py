"""The pool: which models, from where, at what price, and how they are asked."""

from hierrouter_jax.bridge.pool.config import ModelConfig, PoolConfig, Resident, Sampling
from hierrouter_jax.bridge.pool.endpoint import Endpoint
from hierrouter_jax.bridge.pool.load import load_pool, load_prompt
from hierrouter_jax.bridge.pool.source import (
    ModelSize,
    count_parameters,
    described,
    member_size,
    resolve_commit,
    resolve_source,
)

__all__ = [
    "Endpoint",
    "ModelConfig",
    "ModelSize",
    "PoolConfig",
    "Resident",
    "Sampling",
    "count_parameters",
    "described",
    "load_pool",
    "load_prompt",
    "member_size",
    "resolve_commit",
    "resolve_source",
]
