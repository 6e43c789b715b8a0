"""Whether an answer says what the gold answer says: forms are held against each other, expressions by math-verify."""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TypeGuard

from hierrouter_jax.bridge.grading.latex.clean import SCALES, clean
from hierrouter_jax.bridge.grading.latex.form import (
    Assigned,
    Based,
    Expression,
    Form,
    Group,
    Many,
    Matrix,
    Quantity,
    Union,
    Words,
    read_form,
)
from hierrouter_jax.bridge.grading.latex.numbers import Number, same_number
from hierrouter_jax.bridge.grading.latex.relations import sides
from hierrouter_jax.bridge.grading.number_words import word_pattern, words_value

# Whether two expressions, one of which may be a number, are equal: gold first.
Algebra = Callable[[Number | Expression, Number | Expression], bool]

RIGHT, WRONG = "right", "wrong"
_ARITHMETIC = re.compile(r"(?:[\d\s.,+*/^()-]|\\(?:times|cdot|div|frac)(?![a-z])|[{}])+")
_CONSTANTS = re.compile(
    r"\\text\s*\{[^{}]*\}|\\(?!alpha|beta|gamma|theta|lambda|phi)[a-zA-Z]+|(?<![a-zA-Z])[ei](?![a-zA-Z])"
)
_VARIABLES = re.compile(r"[a-zA-Z]")
LONGEST = 1_000  # characters of an answer; longer ones are wrong unless they are the gold text itself


class NeedsAlgebraError(Exception):
    """Raised by `no_algebra`: this comparison cannot be decided by form and numbers alone."""


def no_algebra(gold: Number | Expression, other: Number | Expression) -> bool:
    """Refuses to compare expressions.

    Raises:
      NeedsAlgebraError: always.
    """
    raise NeedsAlgebraError


def judge(gold: str, answer: str, algebra: Algebra, question: str = "") -> str:
    """`right`, or `wrong` with a class after a colon: value, form, base, unit, name, count, equation or too long.

    Args:
      gold: the answer that is right.
      answer: the answer to judge, without what marks it.
      algebra: function that compares expressions.
      question: text of the question; an equation whose left side it asks for states the right side.
    """
    if " ".join(gold.split()) == " ".join(answer.split()):
        return RIGHT
    if len(answer) > LONGEST:
        return f"{WRONG}: too long"
    gold_form, form = read_form(gold), read_form(answer)
    if _is_equation(form) and not _is_equation(gold_form):
        pieces, _ = sides(form.latex)
        if asks_for(question, pieces[0]):
            form = read_form(pieces[-1])
    return _judge(gold_form, form, algebra)


def _judge(gold: Form, other: Form, algebra: Algebra) -> str:
    if gold == other:
        return RIGHT
    if _is_equation(gold) or _is_equation(other):
        return _judge_equations(gold, other, algebra)
    if isinstance(gold, Quantity) or isinstance(other, Quantity):
        return _judge_quantities(gold, other, algebra)
    if isinstance(gold, Assigned) or isinstance(other, Assigned):
        if isinstance(gold, Assigned) and isinstance(other, Assigned) and gold.name.lower() != other.name.lower():
            curves = _is_curve(gold) and isinstance(other.value, Expression)
            return _judge_equations(gold, other, algebra) if curves else f"{WRONG}: name"
        return _judge(_value(gold), _value(other), algebra)
    if isinstance(gold, Words) or isinstance(other, Words):
        return _verdict(_same_words(gold, other), "value")
    if isinstance(gold, Based) or isinstance(other, Based):
        return _judge_based(gold, other)
    if isinstance(gold, Number) and isinstance(other, Number):
        return _verdict(same_number(gold, other), "value")
    if isinstance(gold, Number | Expression) and isinstance(other, Number | Expression):
        return _verdict(algebra(gold, other), "value")
    return _judge_collections(gold, other, algebra)


def _judge_equations(gold: Form, other: Form, algebra: Algebra) -> str:
    """Two equations say the same if one is the other rearranged; one alone states its right side if it has no variable.

    "40,320 / 8 = 5,040" computes, "x + 2 = 5" is a condition. For a solved equation (x = 3) a rearranged one is none.
    """
    if isinstance(gold, Assigned) and not _is_curve(gold):
        return f"{WRONG}: equation" if _has_variables(other) else _judge(gold.value, other, algebra)
    if isinstance(gold, Assigned) or _is_equation(gold):
        first, second = _equation(gold), _equation(other)
        if second is None:
            return f"{WRONG}: form"
        return _verdict(algebra(Expression(first or ""), Expression(second)), "value")
    assert isinstance(other, Expression)
    pieces, _ = sides(other.latex)
    if _has_variables(other):
        return f"{WRONG}: equation"
    for piece in pieces[:-1]:
        if (
            _ARITHMETIC.fullmatch(piece)
            and (verdict := _judge(read_form(piece), read_form(pieces[-1]), algebra)) != RIGHT
        ):
            return verdict  # 2 + 2 = 5
    return _judge(gold, read_form(pieces[-1]), algebra)


def asks_for(question: str, side: str) -> bool:
    """Whether a question asks for what stands on one side of an equation, rather than gives that equation itself."""
    asked_side, text = _squeezed(side), _squeezed(question)
    if len(asked_side) < 2 or asked_side not in text:
        return False
    return any(not text.startswith("=", match.end()) for match in re.finditer(re.escape(asked_side), text))


def _squeezed(text: str) -> str:
    return re.sub(r"[\s$]", "", clean(text))


def _is_curve(form: Assigned) -> bool:
    """Whether an equation holds between variables: y = 2x + 3, unlike x = 5."""
    return _has_variables(form.value)


def _has_variables(form: Form) -> bool:
    if isinstance(form, Assigned):
        return _has_variables(form.value)
    return isinstance(form, Expression) and bool(_VARIABLES.search(_CONSTANTS.sub(" ", form.latex)))


def _equation(form: Form) -> str | None:
    """Equation in LaTeX; None where a form is none."""
    if isinstance(form, Assigned):
        value = form.value
        if isinstance(value, Number):
            return f"{form.name} = \\frac{{{value.value.numerator}}}{{{value.value.denominator}}}"
        return f"{form.name} = {value.latex}" if isinstance(value, Expression) else None
    return form.latex if _is_equation(form) and form.latex.count("=") == 1 else None


def _judge_quantities(gold: Form, other: Form, algebra: Algebra) -> str:
    """Units may be left out; two known ones must be one, or convert (50 cents is $0.50); 20% is 20 or 0.2."""
    (gold, unit, known), (other, second, second_known) = _quantity(gold), _quantity(other)
    if known and second_known and unit != second:
        return _judge_converted(gold, unit, other, second)
    verdict = _judge(gold, other, algebra)
    if verdict == RIGHT or {unit, second} != {"percent", ""}:
        return verdict
    share, plain = (gold, other) if unit == "percent" else (other, gold)
    if isinstance(share, Number) and isinstance(plain, Number) and share.value == plain.value * 100:
        return RIGHT
    return verdict


def _judge_converted(gold: Form, unit: str, other: Form, second: str) -> str:
    ratio = SCALES.get((unit, second)) or Fraction(1, SCALES.get((second, unit), 1))
    if ratio == 1 or not isinstance(gold, Number) or not isinstance(other, Number):
        return f"{WRONG}: unit"
    return _verdict(other.value == gold.value * ratio, "unit")


def _quantity(form: Form) -> tuple[Form, str, bool]:
    return (form.value, form.unit, form.known) if isinstance(form, Quantity) else (form, "", False)


def _is_equation(form: Form) -> TypeGuard[Expression]:
    return isinstance(form, Expression) and "=" in form.latex and len(sides(form.latex)[0]) > 1


def _value(form: Form) -> Form:
    return form.value if isinstance(form, Assigned) else form


def _same_words(gold: Form, other: Form) -> bool:
    """Words by their letters whatever the case, or by their number; an option by its letter, whatever follows it."""
    for words, number in ((gold, other), (other, gold)):
        if isinstance(words, Words) and isinstance(number, Number) and not words.letter:
            return words_value(words.text) == number.value if word_pattern().fullmatch(words.text) else False
    if isinstance(gold, Words) and gold.letter:
        letter = other.letter if isinstance(other, Words) else getattr(other, "latex", "").strip("(). ").upper()
        return letter == gold.letter
    return _spelled(gold) == _spelled(other) != ""


def _spelled(form: Form) -> str:
    if isinstance(form, Words):
        return form.text
    return form.latex.strip("(). ").lower() if isinstance(form, Expression) else ""


def _judge_based(gold: Form, other: Form) -> str:
    """A numeral without a base is read in the gold's; one with a base counts only where the gold has the same."""
    if isinstance(gold, Based) and isinstance(other, Based):
        if gold.base != other.base:
            return f"{WRONG}: base"
        return _verdict(gold.digits == other.digits, "value")
    based, plain = (gold, other) if isinstance(gold, Based) else (other, gold)
    assert isinstance(based, Based)
    if based is other and based.base != 10:
        return f"{WRONG}: base"
    digits = str(plain.value) if isinstance(plain, Number) else _spelled(plain).upper()
    return _verdict(digits == based.digits, "value")


def _judge_collections(gold: Form, other: Form, algebra: Algebra) -> str:
    if isinstance(gold, Matrix) and isinstance(other, Matrix):
        if [len(row) for row in gold.rows] != [len(row) for row in other.rows]:
            return f"{WRONG}: form"
        return _judge_in_order(sum(gold.rows, ()), sum(other.rows, ()), algebra)
    if isinstance(gold, Union) and isinstance(other, Union):
        return _judge_unordered(gold.parts, other.parts, algebra)
    if isinstance(gold, Group) and isinstance(other, Group):
        if (gold.opening, gold.closing) != (other.opening, other.closing):
            return f"{WRONG}: form"
        compare = _judge_unordered if gold.opening == "{" else _judge_in_order
        return compare(gold.parts, other.parts, algebra)
    first, second = _loose_parts(gold), _loose_parts(other)
    if first is None or second is None:
        return f"{WRONG}: form"
    return _judge_unordered(first, second, algebra)


def _loose_parts(form: Form) -> tuple[Form, ...] | None:
    """The members of a set or a list; a set may be written without its braces, a tuple or an interval may not."""
    if isinstance(form, Many):
        return form.parts
    if isinstance(form, Group):
        return form.parts if form.opening == "{" else None
    return None if isinstance(form, Union | Matrix) else (form,)


def _judge_in_order(gold: Sequence[Form], other: Sequence[Form], algebra: Algebra) -> str:
    if len(gold) != len(other):
        return f"{WRONG}: count"
    verdicts = (_judge(one, two, algebra) for one, two in zip(gold, other, strict=True))
    return next((verdict for verdict in verdicts if verdict != RIGHT), RIGHT)


def _judge_unordered(gold: Sequence[Form], other: Sequence[Form], algebra: Algebra) -> str:
    gold, left = list(dict.fromkeys(gold)), list(dict.fromkeys(other))
    if len(gold) != len(left):
        return f"{WRONG}: count"
    for one in gold:
        match = next((two for two in left if _judge(one, two, algebra) == RIGHT), None)
        if match is None:
            return f"{WRONG}: value"
        left.remove(match)
    return RIGHT


def _verdict(equal: bool, otherwise: str) -> str:
    return RIGHT if equal else f"{WRONG}: {otherwise}"
