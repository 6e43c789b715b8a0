"""Equality of two expressions by math-verify. Only worker processes import this: sympy may never return."""

from fractions import Fraction

import sympy
from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify

from hierrouter_jax.bridge.grading.latex.form import Expression
from hierrouter_jax.bridge.grading.latex.numbers import Number, stands_for

# Units are off: they are read by us, and math-verify takes the variable of "3s" for one.
_LATEX = LatexExtractionConfig(
    boxed_match_priority=-1,
    normalization_config=NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
    ),
)
_PRECISION = 30


def equal_expressions(gold: Number | Expression, other: Number | Expression) -> bool:
    """Whether two expressions are equal: identically in their variables, exactly where they are numbers.

    A decimal stands for an irrational number where it gives six or more of its digits. What math-verify
    cannot read equals only its own text. Nothing here ends by itself: the caller keeps a deadline.
    """
    if isinstance(gold, Expression) and isinstance(other, Expression) and _squeezed(gold) == _squeezed(other):
        return True
    left, right = _parsed(gold), _parsed(other)
    if left is None or right is None:
        return False
    for decimal, exact in ((gold, right), (other, left)):
        if isinstance(decimal, Number) and decimal.digits and (value := _numeric(exact)) is not None:
            return stands_for(decimal, value) or decimal.value == value
    return bool(verify(left, right, strict=True, timeout_seconds=None))


def _parsed(form: Number | Expression) -> sympy.Basic | None:
    if isinstance(form, Number):
        return sympy.Rational(form.value.numerator, form.value.denominator)
    found = parse(f"${form.latex}$", [_LATEX], fallback_mode="no_fallback", parsing_timeout=0)
    return found[0] if found else None


def _numeric(expression: sympy.Basic) -> Fraction | None:
    """The value of an expression without variables; None of any other, of relations and of complex numbers."""
    if not isinstance(expression, sympy.Expr) or expression.free_symbols:
        return None
    value = expression.doit().evalf(_PRECISION)
    if isinstance(value, sympy.Rational):
        return Fraction(int(value.p), int(value.q))
    return Fraction(str(value)) if value.is_Float and value.is_finite else None


def _squeezed(form: Expression) -> str:
    return "".join(form.latex.split())
