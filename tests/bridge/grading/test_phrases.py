"""Phrases that announce an answer or an option, and the part of a response that speaks to its question."""

import pytest

from hierrouter_jax.bridge.grading.phrases import announcements, choices, spoken


@pytest.mark.parametrize(
    "words",
    [
        "I choose B",
        "ich wähle B",
        "je choisis B",
        "elijo B",
        "scelgo B",
        "escolho B",
        "ik kies B",
        "я выбираю B",
        "故选B",
    ],
)
def test_words_of_choosing(words):
    assert [match.end() for match in choices(words)] == [len(words.rstrip(" B"))]


def test_a_denial_of_something_else_is_none():
    assert announcements("The answer to why it does not move is 7")


def test_thoughts_are_not_spoken():
    assert spoken("<think>6</think> 7") == "7"
    assert spoken("7 <thinking>The answer is 6") == "7"
    assert spoken("<think>The answer is 6") == ""
    assert spoken("Ａｎｓｗｅｒ：７。") == "Answer:7."
