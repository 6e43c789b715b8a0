"""Numbers in English words."""

from fractions import Fraction

import pytest

from hierrouter_jax.bridge.grading.number_words import small_words, word_pattern, words_value


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("zero", 0),
        ("twelve hundred", 1200),
        ("one million two hundred thousand and three", 1_200_003),
        ("one half", Fraction(1, 2)),
        ("two thirds", Fraction(2, 3)),
        ("five six", None),
        ("thousand million", None),
        ("ten five", None),
        ("twenty twelve", None),
        ("hundred", 100),
    ],
)
def test_numbers_in_words(words, value):
    assert words_value(words) == value


def test_words_that_are_numbers():
    assert small_words()["seventy"] == 70
    assert len(small_words()) == 28  # 0 to 19, and eight tens
    assert word_pattern().findall("two and a half, twenty-one or a hundred and three eggs") == [
        "two and a half",
        "twenty-one",
        "a hundred and three",
    ]
    assert word_pattern().findall("and a man") == []
