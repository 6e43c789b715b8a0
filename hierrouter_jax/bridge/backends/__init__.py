"""Backends: what generates a hop."""

from hierrouter_jax.bridge.backends.interface import Backend, Failure, Generation
from hierrouter_jax.bridge.backends.transformers import TransformersBackend, load_backends, loading

__all__ = ["Backend", "Failure", "Generation", "TransformersBackend", "load_backends", "loading"]
