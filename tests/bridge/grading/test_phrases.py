"""Phrases that announce an answer or an option, and the part of a response that speaks to its question."""

import pytest

from hierrouter_jax.bridge.grading.phrases import announcements, any_of, choices, denied, first_question, spoken


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


def test_announcements_by_hand():
    assert [match[0] for match in announcements("The answer is 5. Antwort: 6")] == ["answer is", "Antwort:"]
    assert [match[0] for match in choices("I choose B; the answer is C")] == ["choose", "answer is"]
    assert not announcements("La respuesta no es 5.")


def test_a_denial_by_hand():
    assert denied("The answer is not 5.")
    assert not denied("The answer is 5.")


def test_the_first_question_by_hand():
    text = "It is 7.\nQuestion: And then?\n8"
    assert first_question(text, lambda before: "7" in before) == "It is 7."
    assert first_question(text, lambda before: False) == text
    numbered = "Question 1: a?\n1\nQuestion 2: b?\n2"
    assert first_question(numbered, lambda before: True) == numbered, "a response may answer several"


def test_the_alternatives_of_a_field():
    assert r"\b(?:is|are|was" in any_of("verbs")
    assert "(?:答案|" not in any_of("verbs")
    assert "(?:は)" in any_of("verbs"), "words are no words by spaces in every language"
