"""The default encoder: hashed n-grams through a fixed random projection, the same for every data set."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from hierrouter_jax.outcomes.table import Context

HASH_BUCKETS = 2**14
LONGEST_CHARACTERS = 4
_NUMBER, _WORD = re.compile(r"\d+"), re.compile(r"\w+|[^\w\s]")


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
        weights = np.count_nonzero(_projection(self.size // 4, self.seed)) / HASH_BUCKETS

        @lru_cache(None)
        def work(text: str) -> int:
            folded = self._folded(text).lower()
            return sum(len(_hashed(grams(folded))[0]) for grams in (_character_ngrams, _word_ngrams))

        texts = [(context.query, *context.responses[-1:]) for context in contexts]
        return weights * np.array([sum(map(work, row)) for row in texts], dtype=float)

    def _folded(self, text: str) -> str:
        return _NUMBER.sub("0", text) if self.fold_numbers else text

    def _embed(self, texts: list[str]) -> Float[np.ndarray, "B H"]:
        texts = [self._folded(text) for text in texts]
        rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        projection = _projection(self.size // 4, self.seed)
        embedded = np.empty((len(rows), self.size // 2), np.float32)
        for text, row in rows.items():
            lower = text.lower()
            parts = [_projected(grams(lower), projection) for grams in (_character_ngrams, _word_ngrams)]
            np.concatenate(parts, out=embedded[row])
        return embedded[[rows[text] for text in texts]]


def _character_ngrams(text: str) -> list[str]:
    """Character n-grams inside words, each with a space on both sides; a word that is shorter than n only once."""
    grams = []
    for word in text.split():
        padded = f" {word} "
        for n in range(1, min(LONGEST_CHARACTERS, len(padded)) + 1):
            grams += [padded[at : at + n] for at in range(len(padded) - n + 1)]
    return grams


def _word_ngrams(text: str) -> list[str]:
    """Words, with punctuation as words of their own, and pairs of neighbours."""
    words = _WORD.findall(text)
    return words + [f"{one} {other}" for one, other in pairwise(words)]


def _projected(grams: list[str], projection: Float[np.ndarray, "K H"]) -> Float[np.ndarray, " H"]:
    """Signed counts of the n-grams' buckets, of length 1, through the projection."""
    if not grams:
        return np.zeros(projection.shape[1], np.float32)
    buckets, count = _hashed(grams)
    length = np.sqrt((count.astype(np.float64) ** 2).sum())
    unit = (count / length).astype(np.float32) if length else count
    return (unit[:, None] * projection[buckets]).sum(axis=0)


def _hashed(grams: list[str]) -> tuple[Int[np.ndarray, " B"], Float[np.ndarray, " B"]]:
    """The distinct buckets of n-grams, and the signed count in each."""
    counts = Counter(grams)
    if len(_PLACES) > _MOST_PLACES:
        _PLACES.clear()
    places = np.array([_PLACES.get(gram) or _place(gram) for gram in counts], dtype=np.int64)
    buckets, inverse = np.unique(np.abs(places) - 1, return_inverse=True)
    signed = np.sign(places) * np.fromiter(counts.values(), np.int64, len(counts))
    return buckets, np.bincount(inverse, signed, len(buckets)).astype(np.float32)


_PLACES: dict[str, int] = {}  # of n-grams seen before: the bucket plus 1, with the sign of the count
_MOST_PLACES = 2**17


def _place(gram: str) -> int:
    hashed = murmur3(gram.encode("utf-8", "surrogatepass"))
    _PLACES[gram] = place = (abs(hashed) % HASH_BUCKETS + 1) * (1 if hashed >= 0 else -1)
    return place


def murmur3(key: bytes) -> int:
    """MurmurHash3 of 32 bits with seed 0, as a signed number (Appleby, 2011)."""
    digest, whole = 0, len(key) & ~3
    for at in range(0, whole, 4):
        digest ^= _mixed(int.from_bytes(key[at : at + 4], "little"))
        digest = ((digest << 13 | digest >> 19) * 5 + 0xE6546B64) & _BITS
    if whole < len(key):
        digest ^= _mixed(int.from_bytes(key[whole:], "little"))
    digest ^= len(key)
    digest = (digest ^ digest >> 16) * 0x85EBCA6B & _BITS
    digest = (digest ^ digest >> 13) * 0xC2B2AE35 & _BITS
    digest ^= digest >> 16
    return digest - 2**32 if digest >= 2**31 else digest


_BITS = 0xFFFFFFFF


def _mixed(block: int) -> int:
    block = block * 0xCC9E2D51 & _BITS
    return (block << 15 | block >> 17) * 0x1B873593 & _BITS


@lru_cache(4)
def _projection(components: int, seed: int) -> Float[np.ndarray, "K H"]:
    """A sparse random projection of the buckets (Li, Hastie and Church, 2006), the numbers of scikit-learn's."""
    rng, density = np.random.RandomState(seed), 1 / np.sqrt(HASH_BUCKETS)
    chosen = [_distinct(rng, rng.binomial(HASH_BUCKETS, density)) for _ in range(components)]
    columns = np.concatenate(chosen)
    signs = rng.binomial(1, 0.5, size=columns.size) * 2 - 1
    projection = np.zeros((HASH_BUCKETS, components), np.float32)
    projection[columns, np.repeat(np.arange(components), [len(one) for one in chosen])] = (
        np.sqrt(1 / density) / np.sqrt(components) * signs
    )
    return projection


def _distinct(rng: np.random.RandomState, number: int) -> list[int] | Int[np.ndarray, " N"]:
    """So many different buckets, drawn as scikit-learn's `sample_without_replacement` does."""
    if number > 0.01 * HASH_BUCKETS:
        return rng.permutation(HASH_BUCKETS)[:number]
    chosen: dict[int, None] = {}
    while len(chosen) < number:
        chosen[rng.randint(HASH_BUCKETS)] = None
    return list(chosen)


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
