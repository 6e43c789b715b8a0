"""A context as parts, each embedded by itself, each distinct text once."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from hierrouter_jax.bridge.encoders.cache import EmbeddingCache
from hierrouter_jax.bridge.encoders.interface import TextModel
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.outcomes.context import Context

TASK = "task"  # its name as a text: for a router that is told what task a query is of

# The texts of each part. A part of several texts is their mean, one of none is zero.
PARTS: dict[str, Callable[[Context], Sequence[str]]] = {
    "context": lambda context: ["\n".join([context.query, *context.responses])],
    "query": lambda context: [context.query],
    "latest": lambda context: context.responses[-1:],
    "earlier": lambda context: context.responses[:-1],
    TASK: lambda context: [context.task],
}


class PartsEncoder:
    """Embeds the parts of a context apart and puts them side by side.

    Apart, because a model that reads some hundred tokens would see nothing but the query of a long context, and later
    hops would look alike. The part of a blank text, or of a response that is not there yet, is zero.

    Args:
      model: embeds texts.
      spec: of this encoder.
      parts: names in `PARTS`.
      batch_size: texts at once; texts of like length share a batch.
      cache: texts that were embedded before, and where new ones go.

    Raises:
      InputError: if a part is unknown, occurs twice, or there is none.
    """

    def __init__(
        self,
        model: TextModel,
        spec: dict[str, Any],
        parts: Sequence[str],
        batch_size: int,
        cache: EmbeddingCache | None = None,
    ) -> None:
        check_parts(parts)
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}, but must be at least 1")
        self.spec, self.size = spec, model.size * len(parts)
        self._model, self._parts, self._batch_size, self._cache = model, parts, batch_size, cache

    def encode(self, contexts: Sequence[Context]) -> Float[np.ndarray, "B E"]:
        """Embeddings [B, parts x H]."""
        texts = self._texts(contexts)
        embedded = self._embed(list(dict.fromkeys(text for row in texts for part in row for text in part)))
        embedding = np.zeros((len(contexts), len(self._parts), self._model.size), dtype=np.float32)
        for row, parts in enumerate(texts):
            for number, part in enumerate(parts):
                for text in part:
                    embedding[row, number] += embedded[text] / len(part)
        return embedding.reshape(len(contexts), self.size)

    def truncated(self, contexts: Sequence[Context]) -> Bool[np.ndarray, " B"]:
        texts = self._texts(contexts)
        distinct = list(dict.fromkeys(text for row in texts for part in row for text in part if text.strip()))
        cut = dict(zip(distinct, self._model.exceeds(distinct) if distinct else (), strict=True))
        return np.array([any(cut.get(text, False) for part in row for text in part) for row in texts], dtype=bool)

    def _texts(self, contexts: Sequence[Context]) -> list[list[Sequence[str]]]:
        """Of each context the texts of each part."""
        return [[PARTS[part](context) for part in self._parts] for context in contexts]

    def _embed(self, texts: list[str]) -> dict[str, Float[np.ndarray, " H"]]:
        """The embedding of each text: zero if it is blank, from the cache, or batch by batch from the model."""
        found = {text: np.zeros(self._model.size, dtype=np.float32) for text in texts if not text.strip()}
        if self._cache is not None:
            found |= self._cache.get_many(self._model.identity, [text for text in texts if text not in found])
        missing = sorted((text for text in texts if text not in found), key=len)
        for start in range(0, len(missing), self._batch_size):
            batch = missing[start : start + self._batch_size]
            new = dict(zip(batch, self._model.embed(batch), strict=True))
            if self._cache is not None:
                self._cache.put_many(self._model.identity, new)
            found |= new
        return found


def check_parts(parts: Sequence[str]) -> None:
    """Refuse parts that are unknown, doubled or none."""
    if isinstance(parts, str) or not parts:
        raise InputError(f"parts is {parts!r}, but must be a list of some of {', '.join(PARTS)}")
    for part in parts:
        if part not in PARTS:
            raise InputError(f"parts: {part!r} is unknown; {nearest(str(part), PARTS)}")
    if len(set(parts)) < len(parts):
        raise InputError(f"parts is {list(parts)}, but each part can be there once")
