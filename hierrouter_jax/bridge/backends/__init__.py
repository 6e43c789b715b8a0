"""Backends: what generates a hop."""

from hierrouter_jax.bridge.backends.drive import Doubt, OpenGate, drive
from hierrouter_jax.bridge.backends.interface import Answers, Backend, Failure, Generation, NoTokenizer, Tokenizing
from hierrouter_jax.bridge.backends.load import load_backend, load_backends, load_seeds, over_ray

__all__ = [
    "Answers",
    "Backend",
    "Doubt",
    "Failure",
    "Generation",
    "NoTokenizer",
    "OpenGate",
    "Tokenizing",
    "drive",
    "load_backend",
    "load_backends",
    "load_seeds",
    "over_ray",
]
