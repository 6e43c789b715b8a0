"""Numbers in English words."""

from fractions import Fraction

import pytest

from hierrouter_jax.bridge.grading.number_words import words_value


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
