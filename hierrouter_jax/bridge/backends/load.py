"""A pool's backends, each of its kind."""

from hierrouter_jax.bridge.backends.interface import Backend
from hierrouter_jax.bridge.backends.transformers import TransformersBackend
from hierrouter_jax.bridge.backends.weights import Weights
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from hierrouter_jax.bridge.servers import Servers


def load_backends(pool: PoolConfig, servers: Servers | None = None) -> tuple[Backend, ...]:
    """All models of a pool, in action order.

    Args:
      pool: the pool.
      servers: that carry out the commands of its endpoints, in a `with` block around their use.
    Raises:
      InputError: naming the model whose source cannot be loaded or whose key is missing.
    """
    weights = Weights(pool.resident)
    return tuple(load_backend(config, pool, weights, servers) for config in pool.models)


def load_backend(
    config: ModelConfig, pool: PoolConfig, weights: Weights | None = None, servers: Servers | None = None
) -> Backend:
    """One member; of an endpoint no weights are loaded, and nothing is asked yet.

    Args:
      config: the member.
      pool: the one it is a member of.
      weights: where the pool's models are kept, so that members which share weights share them in memory too.
      servers: that carry out the command of its endpoint, if it has one.
    """
    if config.kind == "openai":
        from hierrouter_jax.bridge.backends.openai import OpenAIBackend  # its client takes a second to import

        return OpenAIBackend(config, pool, servers)
    return TransformersBackend(config, pool, weights)
