"""The form of an answer, by hand."""

from fractions import Fraction

import pytest

from hierrouter_jax.bridge.grading.latex.form import (
    Assigned,
    Based,
    Expression,
    Group,
    Many,
    Matrix,
    Quantity,
    Union,
    Words,
    read_form,
)
from hierrouter_jax.bridge.grading.latex.numbers import Number

ONE, TWO, THREE, FIVE = (Number(Fraction(value), Fraction(1), 1) for value in (1, 2, 3, 5))
INFINITY, MINUS_INFINITY = Expression(r"\infty"), Expression(r"-\infty")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("5", FIVE),
        ("(1,2)", Group("(", ")", (ONE, TWO))),
        ("[1,2)", Group("[", ")", (ONE, TWO))),
        ("]1,2[", Group("(", ")", (ONE, TWO))),
        (r"\{1\}", Group("{", "}", (ONE,))),
        ("(5)", FIVE),
        (r"\emptyset", Group("{", "}", ())),
        (r"\mathbb{R}", Group("(", ")", (MINUS_INFINITY, INFINITY))),
        ("3, 5", Many((THREE, FIVE))),
        (r"1 \pm 2", Many((Expression("1 + 2"), Expression("1 - 2")))),
        (r"(1,2) \cup (3,5)", Union((Group("(", ")", (ONE, TWO)), Group("(", ")", (THREE, FIVE))))),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 5 \end{pmatrix}", Matrix(((ONE, TWO), (THREE, FIVE)))),
        ("x = 5", Assigned("x", FIVE)),
        ("5 = x", Assigned("x", FIVE)),
        (r"x \in \{5\}", Group("{", "}", (FIVE,))),
        ("x < 3", Group("(", ")", (MINUS_INFINITY, THREE))),
        ("x > 1 and x < 3", Group("(", ")", (ONE, THREE))),
        ("x < 1 or x > 3", Union((Group("(", ")", (MINUS_INFINITY, ONE)), Group("(", ")", (THREE, INFINITY))))),
        (r"204_5", Based("204", 5)),
        (r"\text{East}", Words("east")),
        (r"\text{(B)}", Words("b", "B")),
        ("5 cm", Quantity(FIVE, "cm", True)),
        ("2k", Expression("2k")),
    ],
)
def test_every_form_by_hand(text, form):
    assert read_form(text) == form


def test_a_comma_between_three_digits_parts_none_but_in_delimiters():
    assert read_form("12,102") == Number(Fraction(12102), Fraction(1), 5)
    assert len(read_form("(12,102)").parts) == 2
