"""Equality of two expressions by math-verify. Only worker processes import this: sympy may never return."""

import math
import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify
from sympy.core.evalf import evalf

from hierrouter_jax.bridge.grading.latex.form import Expression
from hierrouter_jax.bridge.grading.latex.numbers import Number, same_number, stands_for

Expr = Any  # of sympy, whose own annotations lose an expression's type in arithmetic
PRECISION = 4_000  # bits to which a difference is computed before it counts as none
_MOST_BITS = 2_000_000  # of a rational number that is computed exactly
_MOST_FACTORIAL = 20_000
# Values of variables, one row after another: positive ones first, then of either sign. None has a special meaning.
_POINTS = [
    [Fraction(37, 29), Fraction(101, 43), Fraction(67, 31), Fraction(173, 59)],
    [Fraction(83, 41), Fraction(19, 47), Fraction(139, 53), Fraction(61, 97)],
    [Fraction(-47, 31), Fraction(59, 37), Fraction(-23, 71), Fraction(-109, 43)],
]


def same(left: Expr, right: Expr) -> bool | None:
    """Whether two expressions are equal; None where that cannot be computed, as with infinity or unknown functions."""
    return _everywhere(left - right)


def proportional(left: Expr, right: Expr) -> bool | None:
    """Whether one expression is a constant multiple of the other, and none of them zero; None as in `same`."""
    left, right = _numerator(left), _numerator(right)
    symbols: list[Any] = sorted({*left.free_symbols, *right.free_symbols}, key=str)
    first = _at(symbols, _POINTS[0])
    if is_zero(left.xreplace(first)) is not False or is_zero(right.xreplace(first)) is not False:
        return None
    return same(left * right.xreplace(first), right * left.xreplace(first))


def is_zero(number: Expr) -> bool | None:
    """Whether an expression without variables is zero; None where it has no value."""
    if (value := rational(number)) is not None:
        return value == 0
    try:
        value: Any = evalf(number, 53, {"maxprec": PRECISION})
        real, imaginary, real_bits, imaginary_bits = value
    except (NotImplementedError, ValueError, TypeError, ZeroDivisionError, AttributeError):
        return None  # how sympy says, each in its place, that an expression has no value
    parts = [(part, bits) for part, bits in ((real, real_bits), (imaginary, imaginary_bits)) if part is not None]
    if any(not isinstance(part, tuple) or (not part[1] and part[2]) for part, _ in parts):  # infinite, or no number
        return None
    return not any(part[1] and bits is not None and bits >= 8 for part, bits in parts)


def rational(number: Expr) -> Fraction | None:
    """The exact value of a number made by rational arithmetic, powers and factorials; None of any other."""
    if isinstance(number, sympy.Rational):
        return Fraction(int(number.p), int(number.q))
    if isinstance(number, sympy.Add | sympy.Mul):
        value = Fraction(isinstance(number, sympy.Mul))
        for part in number.args:
            if (one := rational(part)) is None:
                return None
            value = value + one if isinstance(number, sympy.Add) else value * one
            if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
                return None
        return value
    if isinstance(number, sympy.Pow):
        return _power(*(rational(part) for part in number.args))
    if isinstance(number, sympy.factorial):
        value = rational(number.args[0])
        whole = value is not None and value.denominator == 1 and 0 <= value <= _MOST_FACTORIAL
        return Fraction(math.factorial(int(value))) if whole and value is not None else None
    return None


def _power(base: Fraction | None, power: Fraction | None) -> Fraction | None:
    if base is None or power is None or power.denominator != 1 or (base == 0 and power < 0):
        return None
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    return base ** int(power) if abs(power) * bits <= _MOST_BITS else None


def _everywhere(expression: Expr) -> bool | None:
    """Whether an expression is zero at all points where it has a value; None where it is so at positive ones only."""
    symbols = sorted(expression.free_symbols, key=str)
    if not symbols:
        return is_zero(expression)
    zeros = [is_zero(expression.xreplace(_at(symbols, point))) for point in _POINTS]
    if False in zeros[:2]:
        return False
    return True if zeros.count(True) == len(zeros) - zeros.count(None) >= 2 else None


def _at(symbols: Iterable[Expr], point: list[Fraction]) -> dict[Expr, Expr]:
    return {
        symbol: sympy.Rational(value.numerator + 2 * place // len(point), value.denominator)
        for place, symbol in enumerate(symbols)
        for value in [point[place % len(point)]]
    }


def _numerator(expression: Expr) -> Expr:
    return sympy.fraction(sympy.together(expression))[0]


# Units are off: they are read before, and math-verify takes the variable of "3s" for one.
_LATEX = LatexExtractionConfig(
    boxed_match_priority=-1,
    normalization_config=NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
    ),
)
_DIGITS = 30
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_DECIMAL = re.compile(r"(?<![\d.])(\d+)\.(\d+)(?![\d.])")


def equal_expressions(gold: Number | Expression, other: Number | Expression) -> bool:
    """Whether two expressions are equal: identically in their variables, exactly where they are numbers.

    A decimal stands for an irrational number where it gives six or more of its digits. Equations are equal where one
    is the other rearranged. What math-verify cannot read equals only its own text. Nothing here ends by itself: the
    caller keeps a deadline.
    """
    if isinstance(gold, Expression) and isinstance(other, Expression) and _squeezed(gold) == _squeezed(other):
        return True
    left, right = _parsed(gold), _parsed(other)
    if left is None or right is None:
        return False
    for decimal, expression in ((gold, right), (other, left)):
        if isinstance(decimal, Number) and decimal.digits and (value := _numeric(expression)) is not None:
            return same_number(decimal, value) if isinstance(value, Number) else stands_for(decimal, value)
    if isinstance(left, sympy.Expr) and isinstance(right, sympy.Expr):
        decided = _same(left, right)
        if decided is not None:
            return decided
    if isinstance(left, sympy.Eq) and isinstance(right, sympy.Eq):
        decided = proportional(_difference(left), _difference(right))
        if decided is not None:
            return decided
    return bool(verify(left, right, strict=True, timeout_seconds=None))


def _same(left: sympy.Basic, right: sympy.Basic) -> bool | None:
    """Equality as they stand, or else with i as the imaginary unit."""
    decided = same(left, right)
    if decided is False and (
        units := [symbol for symbol in left.free_symbols | right.free_symbols if str(symbol) == "i"]
    ):
        imaginary = dict.fromkeys(units, sympy.I)
        return same(left.xreplace(imaginary), right.xreplace(imaginary))
    return decided


def _difference(equation: Any) -> Any:
    return equation.lhs - equation.rhs


def _parsed(form: Number | Expression) -> sympy.Basic | None:
    if isinstance(form, Number):
        return sympy.Rational(form.value.numerator, form.value.denominator)
    latex = _DECIMAL.sub(_fraction, _THOUSANDS.sub("", form.latex))  # sympy would round a decimal
    forms = parse(f"${latex}$", [_LATEX], fallback_mode="no_fallback", parsing_timeout=0)
    return forms[0] if forms else None


def _fraction(decimal: re.Match[str]) -> str:
    places = len(decimal[2])
    return rf"\frac{{{int(decimal[1] + decimal[2])}}}{{1{'0' * places}}}"


def _numeric(expression: sympy.Basic) -> Number | Fraction | None:
    """The value of an expression without variables, a Number where it is rational; None of relations and the like."""
    if not isinstance(expression, sympy.Expr) or expression.free_symbols:
        return None
    if (value := rational(expression)) is not None:
        return Number(value)
    number = expression.doit().evalf(_DIGITS)
    if isinstance(number, sympy.Rational):
        return Number(Fraction(int(number.p), int(number.q)))
    return Fraction(str(number)) if number.is_Float and number.is_finite else None


def _squeezed(form: Expression) -> str:
    return "".join(form.latex.split())
