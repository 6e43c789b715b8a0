"""Planted duplicates are found, groups are chains of pairs, and what is unlike stays apart."""

import random

from hierrouter_jax.outcomes.duplicates import find_duplicates, normalise


def texts(count: int, words: int = 30, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [" ".join("".join(rng.choices("abcdefghij", k=5)) for _ in range(words)) for _ in range(count)]


def changed(text: str, words: int, rng: random.Random) -> str:
    parts = text.split()
    for place in rng.sample(range(len(parts)), words):
        parts[place] = "".join(rng.choices("klmnop", k=5))
    return " ".join(parts)


def test_planted_duplicates_are_found_and_nothing_else():
    """Case and punctuation, one word of thirty, or a short instruction at the end: found. Ten words of thirty: not."""
    rng, base = random.Random(1), texts(60)
    copies = [text.upper().replace(" ", ", ") for text in base[:20]]
    near = [changed(text, 1, rng) for text in base[20:40]]
    longer = [f"{text} Think step by step and box the final answer of the question." for text in base[40:50]]
    unlike = [changed(text, 10, rng) for text in base[50:]]
    found = find_duplicates([*base, *copies, *near, *longer, *unlike])
    assert [(pair.first, pair.second) for pair in found.pairs] == [(row, row + 60) for row in range(50)]
    assert [pair.similarity == 1 for pair in found.pairs] == [True] * 20 + [False] * 30
    assert found.group.tolist() == [*range(60), *range(50), *range(110, 120)]


def test_groups_are_chains():
    first = texts(1, words=60)[0]
    second = changed(first, 3, random.Random(0))
    third = changed(second, 3, random.Random(1))
    other = texts(1, seed=9)[0]
    found = find_duplicates([other, first, second, third])
    assert (1, 3) not in {(pair.first, pair.second) for pair in found.pairs}
    assert found.group.tolist() == [0, 1, 1, 1]


def test_operators_and_numbers_make_a_difference():
    assert normalise("Find  X+1, please!") == "find x + 1 please"
    assert normalise("x+1") != normalise("x-1")
    assert not find_duplicates(["1+2", "1-2", "", "12"]).pairs
    assert find_duplicates([]).group.tolist() == []
    assert len(find_duplicates(["", "", "!"]).pairs) == 2
