"""Equality of two expressions by math-verify. Only worker processes import this: sympy may never return."""

import re
from fractions import Fraction
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify

from hierrouter_jax.bridge.grading.latex.exact import proportional, rational, same
from hierrouter_jax.bridge.grading.latex.form import Expression
from hierrouter_jax.bridge.grading.latex.numbers import Number, same_number, stands_for

# Units are off: they are read by us, and math-verify takes the variable of "3s" for one.
_LATEX = LatexExtractionConfig(
    boxed_match_priority=-1,
    normalization_config=NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
    ),
)
_PRECISION = 30
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
    found = parse(f"${latex}$", [_LATEX], fallback_mode="no_fallback", parsing_timeout=0)
    return found[0] if found else None


def _fraction(decimal: re.Match[str]) -> str:
    places = len(decimal[2])
    return rf"\frac{{{int(decimal[1] + decimal[2])}}}{{1{'0' * places}}}"


def _numeric(expression: sympy.Basic) -> Number | Fraction | None:
    """The value of an expression without variables, a Number where it is rational; None of relations and the like."""
    if not isinstance(expression, sympy.Expr) or expression.free_symbols:
        return None
    if (value := rational(expression)) is not None:
        return Number(value)
    number = expression.doit().evalf(_PRECISION)
    if isinstance(number, sympy.Rational):
        return Number(Fraction(int(number.p), int(number.q)))
    return Fraction(str(number)) if number.is_Float and number.is_finite else None


def _squeezed(form: Expression) -> str:
    return "".join(form.latex.split())
