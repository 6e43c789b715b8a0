"""The default encoder: hashed n-grams through a fixed random projection, the same for every data set."""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.random_projection import SparseRandomProjection

from hierrouter_jax.outcomes.table import Context

HASH_BUCKETS = 2**14
LONGEST_CHARACTERS, LONGEST_WORDS = 4, 2
_SINGLE: Any = np.float32  # scikit-learn takes it, its annotations do not say so


class NGramEncoder:
    """Encodes the query and the latest response apart, by their character n-grams and their word n-grams apart.

    Apart, because in one bag a short response would drown in a long query, and a few telling words in many
    characters. Nothing is fitted to data, so an embedding never leaks from one split into another.

    Args:
      size: embedding size E; a quarter for each of query and response, characters and words.
      fold_numbers: whether to read every number as one symbol, so that what counts is that there is one, not which.
      seed: seed of the projection.

    Raises:
      ValueError: if four parts do not fit the size.
    """

    def __init__(self, size: int = 1024, fold_numbers: bool = True, seed: int = 0) -> None:
        if size < 4 or size % 4:
            raise ValueError(f"the embedding size must be a positive multiple of 4, not {size}")
        self.size, self.fold_numbers, self.seed = size, fold_numbers, seed

    @property
    def spec(self) -> dict[str, Any]:
        """Everything that is needed to build this encoder again."""
        return {"kind": "ngrams", "size": self.size, "fold_numbers": self.fold_numbers, "seed": self.seed}

    def encode(self, contexts: Sequence[Context]) -> Float[np.ndarray, "B E"]:
        """Embed contexts; the half of the latest response is zero before the first hop."""
        query = self._embed([context.query for context in contexts])
        latest = self._embed([context.responses[-1] if context.responses else "" for context in contexts])
        return np.concatenate([query, latest], axis=1)

    def truncated(self, contexts: Sequence[Context]) -> Bool[np.ndarray, " B"]:
        """Of which contexts something is left out: none, every n-gram counts."""
        return np.zeros(len(contexts), dtype=bool)

    def _embed(self, texts: list[str]) -> Float[np.ndarray, "B H"]:
        if self.fold_numbers:
            texts = [re.sub(r"\d+", "0", text) for text in texts]
        rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        parts: list[Any] = [self._projection.transform(hasher.transform(rows)) for hasher in self._hashers]
        embedded = np.concatenate([np.asarray(part.todense(), dtype=np.float32) for part in parts], axis=1)
        return embedded[[rows[text] for text in texts]]

    @cached_property
    def _hashers(self) -> tuple[HashingVectorizer, HashingVectorizer]:
        """Character n-grams inside words, and words with punctuation as words of their own."""
        return (
            HashingVectorizer(
                analyzer="char_wb", ngram_range=(1, LONGEST_CHARACTERS), n_features=HASH_BUCKETS, dtype=_SINGLE
            ),
            HashingVectorizer(
                token_pattern=r"\w+|[^\w\s]", ngram_range=(1, LONGEST_WORDS), n_features=HASH_BUCKETS, dtype=_SINGLE
            ),
        )

    @cached_property
    def _projection(self) -> SparseRandomProjection:
        components: Any = self.size // 4
        projection = SparseRandomProjection(n_components=components, random_state=self.seed)
        return projection.fit(np.zeros((1, HASH_BUCKETS), dtype=np.float32))
