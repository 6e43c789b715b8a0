"""What an encoder is, and what the models inside of encoders are."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool, Float

from hierrouter_jax.outcomes.table import Context


class Encoder(Protocol):
    """What embeds contexts.

    Attributes:
      spec: builds the same encoder again through `build_encoder`; plain JSON data.
      size: E.
    """

    @property
    def spec(self) -> dict[str, Any]: ...

    size: int

    def encode(self, contexts: Sequence[Context]) -> Float[np.ndarray, "B E"]:
        """Embeddings, float32; that of a context depends on nothing else."""
        ...

    def truncated(self, contexts: Sequence[Context]) -> Bool[np.ndarray, " B"] | None:
        """Of which contexts the embedding does not read every token; None where that is not known."""
        ...


class TextModel(Protocol):
    """A neural model that embeds single texts.

    Attributes:
      size: H, the size of a text's embedding.
      identity: names weights, tokenizer and truncation; equal identities embed alike.
    """

    size: int

    @property
    def identity(self) -> str: ...

    def embed(self, texts: Sequence[str]) -> Float[np.ndarray, "B H"]:
        """Embeddings of one batch of texts, none of them blank; float32."""
        ...

    def exceeds(self, texts: Sequence[str]) -> Bool[np.ndarray, " B"]:
        """Which texts are longer than the model reads."""
        ...
