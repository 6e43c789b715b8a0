"""Exact and near-duplicate texts, found by MinHash and confirmed exactly: no split may hold another's questions."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np
from datasketch import MinHash, MinHashLSH
from jaxtyping import Int, UInt32
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

_SHINGLE = 5  # characters
# 32 bands of 4 rows: a pair of Jaccard similarity .8 is missed once in twenty million times, one of .5 once in eight.
_BANDS, _ROWS = 32, 4
_CONTAINED = 0.95
_LEAST_CONTAINED = 40  # shingles: shorter texts are part of too much


@dataclass(frozen=True)
class Pair:
    """Two texts that are alike.

    Attributes:
      first, second: their positions, the smaller one first.
      similarity: Jaccard similarity of their shingles; 1 where they are equal after normalisation.
    """

    first: int
    second: int
    similarity: float


@dataclass(frozen=True)
class Duplicates:
    """What a search found among `size` texts: pairs in order of position."""

    pairs: tuple[Pair, ...]
    size: int

    @cached_property
    def group(self) -> Int[np.ndarray, " T"]:
        """Of each text, the position of the first text that it is linked with by a chain of pairs; else its own."""
        ends = np.array([(pair.first, pair.second) for pair in self.pairs], dtype=np.int64).reshape(-1, 2)
        links = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(self.size, self.size))
        label = connected_components(links, directed=False)[1]
        _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
        return first[inverse]


def find_duplicates(texts: Sequence[str], similarity: float = 0.8, progress: bool = False) -> Duplicates:
    """All pairs of texts that are equal after normalisation, nearly equal, or one of which contains the other.

    A text is taken as its set of character 5-grams (Broder 1997; locality-sensitive hashing by datasketch). Two texts
    are nearly equal from the given Jaccard similarity on. The longer contains the shorter if it holds 95 % of its
    5-grams, at least 40 of them: a question with an instruction behind it. The index may miss a text in one more than
    twice as long; what it reports is measured exactly, and equal texts are always found.

    Args:
      texts: what to compare.
      similarity: Jaccard similarity from which two texts are near-duplicates, in [.5, 1].
      progress: whether to show a bar where it takes more than a second.
    """
    normal = [normalise(text) for text in texts]
    first: dict[str, int] = {}
    pairs = [Pair(first[text], row, 1.0) for row, text in enumerate(normal) if first.setdefault(text, row) != row]
    shingles = {row: _shingles(normal[row]) for row in first.values()}
    grams = (found.tolist() for found in shingles.values())
    sketches = MinHash.generator(grams, num_perm=_BANDS * _ROWS, hashfunc=_as_it_is)
    index = MinHashLSH(num_perm=_BANDS * _ROWS, params=(_BANDS, _ROWS))
    bar = tqdm(shingles, desc="duplicates", unit="text", disable=not progress, delay=1, leave=False)
    for row, sketch in zip(bar, sketches, strict=True):
        candidates: list[Any] = index.query(sketch)
        for other in candidates:
            shared = len(np.intersect1d(shingles[row], shingles[other], assume_unique=True))
            sizes = sorted((len(shingles[row]), len(shingles[other])))
            jaccard = shared / (sum(sizes) - shared)
            contained = sizes[0] >= _LEAST_CONTAINED and shared >= _CONTAINED * sizes[0]
            if jaccard >= similarity or contained:
                pairs.append(Pair(other, row, jaccard))
        index.insert(row, sketch)
    return Duplicates(tuple(sorted(pairs, key=lambda pair: (pair.first, pair.second))), len(texts))


def normalise(text: str) -> str:
    """Compatibility forms, case, punctuation and white space folded; words, numbers and operators stay."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return " ".join(re.findall(r"\w+|[-+*/^=<>%]", folded))


def _shingles(text: str) -> UInt32[np.ndarray, " S"]:
    """Hashes of the distinct character 5-grams, ascending; of a shorter text, of the text itself."""
    starts = range(max(len(text) - _SHINGLE, 0) + 1)
    return np.unique(np.array([crc32(text[at : at + _SHINGLE].encode()) for at in starts], dtype=np.uint32))


def _as_it_is(value: int) -> int:
    return value
