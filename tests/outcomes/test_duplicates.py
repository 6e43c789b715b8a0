"""Planted duplicates are found, groups are chains of pairs, and what is unlike stays apart."""

import random

import pytest

from hierrouter_jax.outcomes.duplicates import Duplicates, Pair, find_duplicates, near_copies, normalise
from hierrouter_jax.outcomes.notes import near_copy_note
from hierrouter_jax.outcomes.table import Query


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
    assert [pair.equal for pair in found.pairs] == [True] * 20 + [False] * 30
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


QUESTIONS = (
    "Who may open a savings account?",
    "Which fees has a loan of five years?",
    "How long is a debit card valid?",
    "Where is the next branch of the bank?",
    "Can I raise my limit for a week?",
    "who may open a savings account",  # the first one again
    "Which fees has a loan of five years, please?",  # and nearly the second
)
RULES = " ".join(f"Rule {number}: never name product {number * 7} in an answer." for number in range(60))
WRAPPINGS = {
    "a system prompt before": lambda row, text: f"You are an agent of a bank. {RULES} Customer: {text}",
    "an instruction behind": lambda row, text: f"{text}\n\n{RULES}\nAnswer in one word.",
    "both": lambda row, text: f"{RULES}\n{text}\n{RULES.upper()}",
    "worked examples": lambda row, text: "".join(f"Q: {q * 9} plus 1?\nA: {q * 9 + 1}\n\n" for q in range(40)) + text,
    "a document": lambda row, text: f"Document:\n{' '.join(texts(40, 12, seed=3))}.\n\nQuestion: {text}",
    "headings": lambda row, text: f"### Instruction\n{RULES}\n### Input\n{text}\n### Response",
    "a name that differs": lambda row, text: f"The user is number {row}. {RULES} {text}",
    "chat turns": lambda row, text: f"Be brief.\n{RULES}\nHow can I help?\n{text}",
    "lines without full stops": lambda row, text: "\n".join(texts(30, 8, seed=4)) + f"\n{text}",
    "no western punctuation": lambda row, text: "\u8bf7\u7528\u4e00\u53e5\u8bdd\u56de\u7b54\u3002" * 60 + text,
    "two of three prompts": lambda row, text: f"{('', RULES, RULES.lower())[row % 3]}\n{text}",
    "quoted": lambda row, text: f'{RULES} He said: "{text}"',
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
def test_what_is_said_before_every_question_changes_nothing(wrap):
    plain = [(pair.first, pair.second) for pair in find_duplicates(QUESTIONS).pairs]
    assert plain == [(0, 5), (1, 6)]
    found = find_duplicates([wrap(row % 5, text) for row, text in enumerate(QUESTIONS)])
    assert [(pair.first, pair.second) for pair in found.pairs] == plain


def test_two_questions_on_one_document_are_two():
    document = " ".join(f"{text}." for text in texts(30, 10, seed=5))
    asked = [f"{document} {question}" for question in QUESTIONS[:2]]
    assert not find_duplicates(asked).pairs
    assert len(find_duplicates([asked[0], asked[0].replace("Who may open", "Who can open")]).pairs) == 1


def test_one_problem_with_other_numbers_is_one():
    """Two of a kind are near-duplicates as they were: only their numbers differ."""
    problem = "Ann sold {} clips in April to her friends. In May she sold half as many clips. How many did she sell?"
    assert len(find_duplicates([problem.format(48), problem.format(64)]).pairs) == 1


def test_many_questions_behind_one_prompt_stay_apart():
    found = find_duplicates([f"{RULES} {text}" for text in texts(300, 12, seed=6)])
    assert not found.pairs


def test_near_copies_across_splits_by_hand():
    """Test query 3 copies a training query, 4 one of each; 5 and 6 copy each other, in their own split."""
    one, two, three = texts(3, 30, seed=9)
    asked = [one, two, f"{two}!", f"{one}.", f"{two}?", three, f"{three}."]
    parts = ["train", "train", "validation", "test", "test", "test", "test"]
    queries = [Query(f"q{at}", text, "", "", part) for at, (text, part) in enumerate(zip(asked, parts, strict=True))]
    counts = near_copies(queries, "test", "validation")
    assert counts == {
        "test": {"queries": 4, "train": 2, "validation": 1, "either": 2},
        "validation": {"queries": 1, "train": 1, "either": 1},
    }
    said = "near copies: 2 of 4 test queries have one (2 in train and 1 in validation)"
    assert near_copy_note(counts["test"], "test") == said
    none = {"queries": 4, "train": 0, "validation": 0, "either": 0}
    assert near_copy_note(none, "test") == "none of 4 test queries has a near copy in train or validation"


def test_unequal_texts_of_the_same_shingles_are_near_copies():
    """All 5-grams of a row of `ha ` lie in a shorter one. Test query 0 is near 1, and so near 2 in train, its equal."""
    short, long = "ha " * 6, "ha " * 8
    found = find_duplicates([short, long, long])
    assert [(pair.first, pair.second, pair.similarity, pair.equal) for pair in found.pairs] == [
        (0, 1, 1.0, False),
        (1, 2, 1.0, True),
    ]
    assert found.counts == {"exact_pairs": 1, "near_pairs": 1, "groups": 1}
    queries = [
        Query(f"q{row}", text, "task", "", split)
        for row, (text, split) in enumerate(zip((short, long, long), ("test", "test", "train"), strict=True))
    ]
    assert near_copies(queries, "test")["test"] == {"queries": 2, "train": 2, "validation": 0, "either": 2}


def test_pairs_and_groups_are_counted():
    """Positions 0, 1 and 2 are one group of an exact and a near pair; 3 and 4 are alone."""
    alike = Duplicates((Pair(0, 1, 1.0, True), Pair(1, 2, 0.9, False)), 5)
    assert alike.counts == {"exact_pairs": 1, "near_pairs": 1, "groups": 1}
    assert Duplicates((), 2).counts == {"exact_pairs": 0, "near_pairs": 0, "groups": 0}
