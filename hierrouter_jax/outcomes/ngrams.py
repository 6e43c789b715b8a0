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

    def multiply_adds(self, contexts: Sequence[Context]) -> Float[np.ndarray, " B"]:
        """Work of embedding each context: one a distinct n-gram and weight of its bucket; hashing is not counted."""
        texts = [self._folded([context.query, *context.responses[-1:]]) for context in contexts]
        distinct = list(dict.fromkeys(text for row in texts for text in row))
        hashed: list[Any] = [hasher.transform(distinct) for hasher in self._hashers] if distinct else []
        counts = np.array([rows.getnnz(axis=1) for rows in hashed]).sum(axis=0).tolist() if distinct else []
        grams = dict(zip(distinct, counts, strict=True))
        projection: Any = self._projection.components_
        weights = projection.nnz / HASH_BUCKETS
        return weights * np.array([sum(grams[text] for text in row) for row in texts], dtype=float)

    def _folded(self, texts: list[str]) -> list[str]:
        return [re.sub(r"\d+", "0", text) for text in texts] if self.fold_numbers else texts

    def _embed(self, texts: list[str]) -> Float[np.ndarray, "B H"]:
        texts = self._folded(texts)
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


def encoder_work(encoder: Any, contexts: Sequence[Context]) -> list[float] | None:
    """Mean multiply-adds of embedding a context of 0, 1, ... responses; None where the encoder does not tell.

    Args:
      encoder: any encoder; one that tells has a method `multiply_adds`, from contexts to their work.
      contexts: contexts of which there is one at least of every length up to the longest.
    """
    tell = getattr(encoder, "multiply_adds", None)
    work = tell(contexts) if tell is not None and contexts else None
    if work is None:
        return None
    hops = np.array([len(context.responses) for context in contexts])
    return [float(np.mean(work[hops == number])) for number in range(hops.max() + 1)]
