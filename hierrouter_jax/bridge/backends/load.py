"""A pool's backends, each of its kind."""

from hierrouter_jax.bridge.backends.interface import Backend
from hierrouter_jax.bridge.backends.transformers import TransformersBackend
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig


def load_backends(pool: PoolConfig) -> tuple[Backend, ...]:
    """All models of a pool, in action order.

    Raises:
      InputError: naming the model whose source cannot be loaded or whose key is missing.
    """
    return tuple(load_backend(config, pool) for config in pool.models)


def load_backend(config: ModelConfig, pool: PoolConfig) -> Backend:
    """One member; of an endpoint no weights are loaded, and nothing is asked yet."""
    if config.kind == "openai":
        from hierrouter_jax.bridge.backends.openai import OpenAIBackend  # its client takes a second to import

        return OpenAIBackend(config, pool)
    return TransformersBackend(config, pool)
