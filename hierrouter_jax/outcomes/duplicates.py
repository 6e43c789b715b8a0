"""Exact and near-duplicate texts, found by MinHash and confirmed exactly: no split may hold another's questions."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from datasketch import MinHash, MinHashLSH
from jaxtyping import Int, UInt32
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

if TYPE_CHECKING:
    from hierrouter_jax.outcomes.table import Query

_SHINGLE = 5  # characters
# 32 bands of 4 rows: a pair of Jaccard similarity .8 is missed once in twenty million times, one of .5 once in eight.
_BANDS, _ROWS = 32, 4
_CONTAINED = 0.95
_LEAST_CONTAINED = 40  # shingles: shorter texts are part of too much
_COMMON = 3  # texts: a sentence that so many different ones hold is an instruction or a document, no question
_ALIKE = 0.5  # Jaccard similarity of what two texts do not share, below which they ask for different things
_SENTENCE_END = re.compile(r"(?<=[.!?:;])[\"')\]]*\s+|\s*\n\s*|(?<=[\u3002\uff01\uff1f\uff1a\uff1b])")


@dataclass(frozen=True)
class Pair:
    """Two texts that are alike.

    Attributes:
      first, second: positions of the two texts, the smaller one first.
      similarity: Jaccard similarity of their shingles.
      equal: whether they are equal after normalisation; unequal texts may have the same shingles, too.
    """

    first: int
    second: int
    similarity: float
    equal: bool


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

    def joined(self, question: Int[np.ndarray, " T"]) -> Int[np.ndarray, " T"]:
        """`group` where all texts of one question, its replicates, are linked too, however they differ."""
        first = np.unique(question, return_index=True)[1][question]
        links = (
            Pair(int(first[row]), row, 1.0, True) for row in np.flatnonzero(first != np.arange(self.size)).tolist()
        )
        return Duplicates((*self.pairs, *links), self.size).group

    @property
    def counts(self) -> dict[str, int]:
        """How many pairs are equal and nearly equal, and how many groups hold more than one text."""
        exact = sum(pair.equal for pair in self.pairs)
        groups = int((np.bincount(self.group) > 1).sum())
        return {"exact_pairs": exact, "near_pairs": len(self.pairs) - exact, "groups": groups}


def find_duplicates(texts: Sequence[str], similarity: float = 0.8, progress: bool = False) -> Duplicates:
    """All pairs of texts that are equal after normalisation, nearly equal, or one of which contains the other.

    A text is taken as its set of character 5-grams (Broder 1997; locality-sensitive hashing by datasketch). Two texts
    are nearly equal from the given Jaccard similarity on. The longer contains the shorter if it holds 95 % of its
    5-grams, at least 40 of them: a question with an instruction behind it. The index may miss a text in one more than
    twice as long; what it reports is measured exactly, and equal texts are always found.

    What differs decides, not what is said before every question: two texts must be so alike as wholes, and also
    without the sentences that three or more different texts hold (a system prompt, worked examples, a document); and
    where the two share other sentences, what is left of them, every number read as one symbol, must be half alike.

    Args:
      texts: the texts to compare.
      similarity: Jaccard similarity from which two texts are near-duplicates, in [.5, 1].
      progress: whether to show a bar where it takes more than a second.
    """
    normal = [normalise(text) for text in texts]
    first: dict[str, int] = {}
    pairs = [Pair(first[text], row, 1.0, True) for row, text in enumerate(normal) if first.setdefault(text, row) != row]
    sentences = {row: _sentences(texts[row]) for row in first.values()}
    common = _common(sentences.values())
    cores = {row: _core(normal[row], parts, common) for row, parts in sentences.items()}
    shingles = {row: _shingles(core) for row, core in cores.items()}
    whole = {row: shingles[row] if core == normal[row] else _shingles(normal[row]) for row, core in cores.items()}
    grams = (hashes.tolist() for hashes in shingles.values())
    sketches = MinHash.generator(grams, num_perm=_BANDS * _ROWS, hashfunc=_as_it_is)
    index = MinHashLSH(num_perm=_BANDS * _ROWS, params=(_BANDS, _ROWS))
    bar = tqdm(shingles, desc="duplicates", unit="text", disable=not progress, delay=1, leave=False)
    for row, sketch in zip(bar, sketches, strict=True):
        candidates: list[Any] = index.query(sketch)
        for other in candidates:
            jaccard, alike = _compare(whole[row], whole[other], similarity)
            alike = alike and (
                (whole[row] is shingles[row] and whole[other] is shingles[other])
                or _compare(shingles[row], shingles[other], similarity)[1]
            )
            if alike and _same_question(sentences[row], sentences[other]):
                pairs.append(Pair(other, row, jaccard, False))
        index.insert(row, sketch)
    return Duplicates(tuple(sorted(pairs, key=lambda pair: (pair.first, pair.second))), len(texts))


def near_copies(queries: Sequence["Query"], *splits: str, progress: bool = False) -> dict[str, dict[str, int]]:
    """How many queries of each split have a near copy (`find_duplicates`) among those that policies were made with.

    Args:
      queries: the queries of all splits.
      splits: names of the splits that are judged.
      progress: whether to show a bar where it takes more than a second.

    Returns:
      Counts of each split: its `queries`; those with a copy in `train`, in `validation`, each if it is another split,
      and in `either`.
    """
    rows_of: dict[str, int] = {}
    # Of each text, the first that equals it: only these have near pairs.
    first = [rows_of.setdefault(normalise(query.text), row) for row, query in enumerate(queries)]
    alike: dict[int, set[int]] = {}
    for pair in find_duplicates([query.text for query in queries], progress=progress).pairs:
        alike.setdefault(pair.first, set()).add(pair.second)
        alike.setdefault(pair.second, set()).add(pair.first)
    equal: dict[int, set[int]] = {}
    for row, text in enumerate(first):
        equal.setdefault(text, set()).add(row)
    copied = {split: {name: set() for name in ("train", "validation") if name != split} for split in splits}
    for row, query in enumerate(queries):
        texts = {first[other] for other in (first[row], *alike.get(first[row], ()))}
        for name, rows in copied.get(query.split, {}).items():
            if any(queries[other].split == name for text in texts for other in equal[text]):
                rows.add(row)
    size = Counter(query.split for query in queries)
    return {
        split: {"queries": size[split]}
        | {name: len(rows) for name, rows in of.items()}
        | {"either": len(set().union(*of.values()))}
        for split, of in copied.items()
    }


def _compare(one: UInt32[np.ndarray, " S"], other: UInt32[np.ndarray, " T"], similarity: float) -> tuple[float, bool]:
    """Jaccard similarity of two sets of shingles, and whether they are near-duplicates by it or by containment."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    fewer, more = sorted((len(one), len(other)))
    jaccard = shared / (fewer + more - shared)
    contained = fewer >= _LEAST_CONTAINED and shared >= _CONTAINED * fewer
    return jaccard, jaccard >= similarity or contained


def _sentences(text: str) -> tuple[str, ...]:
    """The normalised sentences and lines of a text, without empty ones."""
    return tuple(filter(None, map(normalise, _SENTENCE_END.split(text))))


def _common(texts: Iterable[tuple[str, ...]]) -> set[str]:
    """Sentences that many different texts hold."""
    count = Counter(sentence for sentences in texts for sentence in set(sentences))
    return {sentence for sentence, texts in count.items() if texts >= _COMMON}


def _core(whole: str, sentences: tuple[str, ...], common: set[str]) -> str:
    """A text without its common sentences; all of it, where it has none, or no others."""
    left = [sentence for sentence in sentences if sentence not in common]
    return " ".join(left) if 0 < len(left) < len(sentences) else whole


def _same_question(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether what two texts do not share is alike, or one has nothing of its own."""
    shared = set(one) & set(other)
    left = [
        re.sub(r"\d+", "0", " ".join(sentence for sentence in text if sentence not in shared)) for text in (one, other)
    ]
    return not shared or not all(left) or _compare(_shingles(left[0]), _shingles(left[1]), _ALIKE)[1]


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
