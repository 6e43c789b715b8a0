"""Equality of expressions, exactly; None where it cannot be computed."""

from fractions import Fraction

import pytest
import sympy

from hierrouter_jax.bridge.grading.latex.algebra import equal_expressions, is_zero, proportional, rational, same
from hierrouter_jax.bridge.grading.latex.form import Expression
from hierrouter_jax.bridge.grading.latex.numbers import Number

X, Y = sympy.symbols("x y")


def test_the_exact_value_of_rational_arithmetic():
    assert rational(sympy.Rational(1, 2) + sympy.factorial(3, evaluate=False)) == Fraction(13, 2)
    assert rational(sympy.Pow(2, -70, evaluate=False)) == Fraction(1, 2**70)
    assert rational(sympy.Mul(3, sympy.Pow(2, 3, evaluate=False), evaluate=False)) == 24
    assert rational(sympy.pi) is None
    assert rational(sympy.Pow(9, sympy.Pow(9, 9**9, evaluate=False), evaluate=False)) is None


def test_zero_to_the_last_bit():
    assert is_zero(sympy.sqrt(8) - 2 * sympy.sqrt(2)) is True
    assert is_zero(sympy.Rational(1, 10**40)) is False
    assert is_zero(sympy.pi - sympy.Rational(314159, 100000)) is False
    assert is_zero(sympy.oo) is None


def test_expressions_are_the_same_everywhere_or_not():
    assert same((X + 1) ** 2, X**2 + 2 * X + 1) is True
    assert same((X + 1) ** 2, X**2 + 2 * X + 2) is False
    assert same(sympy.Abs(X), X) is None, "so for positive values only"


def test_equations_are_proportional_or_not():
    assert proportional(3 * X + Y - 6, 12 - 6 * X - 2 * Y) is True
    assert proportional(3 * X + Y - 6, 3 * X + Y - 7) is False
    assert proportional(X - X, X) is None


@pytest.mark.parametrize(
    ("gold", "other", "equal"),
    [
        (Expression(r"\frac{\sqrt{3}}{3}"), Expression(r"\frac{1}{\sqrt{3}}"), True),
        (Expression(r"\sqrt{3}"), Expression(r"\sqrt{2}"), False),
        (Expression(r"\sqrt{2}"), Number(Fraction(141421356, 10**8), Fraction(1, 10**8), 9), True),
        (Expression(r"\sqrt{2}"), Number(Fraction(141, 100), Fraction(1, 100), 3), False),
        (Number(Fraction(-1)), Expression("i^2"), True),
        (Expression("y = 6 - 3x"), Expression("3x + y = 6"), True),
        (Expression("y = 6 - 3x"), Expression("3x + y = 7"), False),
    ],
)
def test_equal_expressions_by_hand(gold, other, equal):
    assert equal_expressions(gold, other) is equal
