"""A user's own encoder."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.context import Context
from hierrouter_jax.plugins import load_object


class ImportedEncoder:
    """Any importable class with `size` and `encode`, and `truncated` if it can tell.

    Args:
      path: `package.module:Class` or `path/to/file.py:Class`.
      settings: arguments of the class.

    Raises:
      InputError: if it cannot be imported or made, or lacks `size` or `encode`.
    """

    def __init__(self, path: str, **settings: Any) -> None:
        self.spec = {"kind": path, **settings}
        try:
            self._encoder = load_object(path)(**settings)
            self.size = int(self._encoder.size)
            self._encode = self._encoder.encode
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(
                f"encoder {path!r} cannot be used ({error}); it must be a class with size and encode, by import path"
            ) from None

    def encode(self, contexts: Sequence[Context]) -> Float[np.ndarray, "B E"]:
        embedding = np.asarray(self._encode(contexts), dtype=np.float32)
        if embedding.shape != (len(contexts), self.size):
            raise InputError(
                f"encoder {self.spec['kind']!r}: encode returned shape {embedding.shape} for {len(contexts)} contexts, "
                f"but its size is {self.size}"
            )
        return embedding

    def truncated(self, contexts: Sequence[Context]) -> Bool[np.ndarray, " B"] | None:
        tell = getattr(self._encoder, "truncated", None)
        return None if tell is None else np.asarray(tell(contexts), dtype=bool)
