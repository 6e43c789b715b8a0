"""Backends: what generates a hop."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hierrouter_jax.bridge.backends.drive import Doubt, OpenGate, drive
from hierrouter_jax.bridge.backends.interface import Answers, Backend, Failure, Generation, NoTokenizer, Tokenizing
from hierrouter_jax.bridge.backends.load import load_backend, load_backends, load_seeds, over_ray
from hierrouter_jax.bridge.pretrained import loading

if TYPE_CHECKING:
    from hierrouter_jax.bridge.backends.transformers import TransformersBackend

__all__ = [
    "Answers",
    "Backend",
    "Doubt",
    "Failure",
    "Generation",
    "NoTokenizer",
    "OpenGate",
    "Tokenizing",
    "TransformersBackend",
    "drive",
    "load_backend",
    "load_backends",
    "load_seeds",
    "loading",
    "over_ray",
]


def __getattr__(name: str) -> Any:
    """The backend that brings torch and transformers with it, when it is asked for."""
    if name == "TransformersBackend":
        return import_module(f"{__name__}.transformers").TransformersBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
