"""Backends: what generates a hop."""

from hierrouter_jax.bridge.backends.interface import Backend, Failure, Generation
from hierrouter_jax.bridge.backends.load import load_backend, load_backends
from hierrouter_jax.bridge.backends.ray_workers import over_ray
from hierrouter_jax.bridge.backends.transformers import TransformersBackend, loading

__all__ = [
    "Backend",
    "Failure",
    "Generation",
    "TransformersBackend",
    "load_backend",
    "load_backends",
    "loading",
    "over_ray",
]
