"""Whether an answer says what the gold answer says: forms are held against each other, expressions by math-verify."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TypeGuard

from hierrouter_jax.bridge.grading.latex.clean import SCALES
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

# Whether two expressions, one of which may be a number, are equal: gold first.
Algebra = Callable[[Number | Expression, Number | Expression], bool]

RIGHT, WRONG = "right", "wrong"
LONGEST = 1_000  # characters of an answer; longer ones are wrong unless they are the gold text itself


class NeedsAlgebraError(Exception):
    """Raised by `no_algebra`: this comparison cannot be decided by form and numbers alone."""


def no_algebra(gold: Number | Expression, other: Number | Expression) -> bool:
    """Refuses to compare expressions.

    Raises:
      NeedsAlgebraError: always.
    """
    raise NeedsAlgebraError


def judge(gold: str, answer: str, algebra: Algebra) -> str:
    """`right`, or `wrong` with a class after a colon: value, form, base, unit, name, count or too long."""
    if " ".join(gold.split()) == " ".join(answer.split()):
        return RIGHT
    if len(answer) > LONGEST:
        return f"{WRONG}: too long"
    return _judge(read_form(gold), read_form(answer), algebra)


def _judge(gold: Form, other: Form, algebra: Algebra) -> str:
    if gold == other:
        return RIGHT
    if _is_equation(other) and not _is_equation(gold):
        return _judge(gold, read_form(other.latex.rpartition("=")[2]), algebra)  # 40,320 / 8 = 5,040
    if isinstance(gold, Quantity) or isinstance(other, Quantity):
        return _judge_quantities(gold, other, algebra)
    if isinstance(gold, Assigned) or isinstance(other, Assigned):
        if isinstance(gold, Assigned) and isinstance(other, Assigned) and gold.name.lower() != other.name.lower():
            return f"{WRONG}: name"
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


def _judge_quantities(gold: Form, other: Form, algebra: Algebra) -> str:
    """Units may be left out; two that we know must be one, or convert (50 cents is $0.50); 20% is 20 or 0.2."""
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
    return isinstance(form, Expression) and "=" in form.latex


def _value(form: Form) -> Form:
    return form.value if isinstance(form, Assigned) else form


def _same_words(gold: Form, other: Form) -> bool:
    """Words by their letters whatever the case; an option by its letter, whatever stands behind it."""
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
    left, verdict = list(dict.fromkeys(other)), f"{WRONG}: count"
    gold = list(dict.fromkeys(gold))
    if len(gold) != len(left):
        return verdict
    for one in gold:
        verdicts = {two: _judge(one, two, algebra) for two in left[:1]} if len(left) == 1 else {}
        match = next((two for two in left if (verdicts.get(two) or _judge(one, two, algebra)) == RIGHT), None)
        if match is None:
            return f"{WRONG}: value"
        left.remove(match)
    return RIGHT


def _verdict(equal: bool, otherwise: str) -> str:
    return RIGHT if equal else f"{WRONG}: {otherwise}"
