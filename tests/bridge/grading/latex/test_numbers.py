"""Numbers in every notation: exact, and equal to themselves alone."""

import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierrouter_jax.bridge.grading.latex.clean import clean
from hierrouter_jax.bridge.grading.latex.numbers import Number, read_number, same_number


@given(st.fractions(min_value=-(10**6), max_value=10**6, max_denominator=400))
def test_a_number_is_the_same_in_every_notation(value: Fraction):
    top, bottom = abs(value.numerator), value.denominator
    sign = "-" if value < 0 else ""
    whole, rest = divmod(top, bottom)
    texts = [f"{sign}{top}/{bottom}", rf"{sign}\frac{{{top}}}{{{bottom}}}", rf"{sign}\frac{{{top:,}}}{{{bottom}}}"]
    texts += [rf"{sign}{whole}\frac{{{rest}}}{{{bottom}}}", f"{sign}{whole} {rest}/{bottom}"] if whole else []
    texts += [f"{sign}{whole:,}", f"{sign}{whole}.0", f"{sign}{whole}e0"] if not rest else []
    for text in texts:
        number = read_number(text)
        assert number is not None, text
        assert number.value == value, text


@given(st.decimals(min_value=-(10**6), max_value=10**6, places=4))
def test_a_decimal_equals_only_itself(value):
    number, exact = read_number(str(value)), Fraction(value)
    assert number is not None
    assert number.value == exact
    above = read_number(f"{exact.numerator * 1000 + exact.denominator}/{exact.denominator * 1000}")
    assert above is not None
    assert not same_number(number, above)


@pytest.mark.parametrize(
    "text",
    ["", "x", "1,23", "1/0", r"\frac{1}{0}", "1 2", "--1", "1.2.3", "1e99999", "9" * 80, "3 -1/2", "½x", "1_000"],
)
def test_what_is_no_number(text):
    assert read_number(text) is None
    assert not re.fullmatch(r"-?\d{1,60}", text)


def number(text: str) -> Number:
    read = read_number(clean(text))
    assert read is not None, text
    return read


BIG = st.integers(min_value=1, max_value=10**40 - 1)


def forms(top: int, bottom: int) -> list[str]:
    """A positive rational as it may be written."""
    whole, rest = divmod(top, bottom)
    texts = [
        f"{top}/{bottom}",
        rf"\frac{{{top}}}{{{bottom}}}",
        rf"\dfrac{{{top:,}}}{{{bottom:,}}}",
        rf"\text{{{top}/{bottom}}}",
    ]
    texts += [rf"{whole}\frac{{{rest}}}{{{bottom}}}", f"{whole} {rest}/{bottom}"] if whole and rest else []
    texts += [f"{whole}", f"{whole:,}", f"{whole:,}".replace(",", " "), rf"\mathbf{{{whole}}}"] if not rest else []
    digits, power = bottom, 0
    while digits % 10 == 0:
        digits, power = digits // 10, power + 1
    if digits == 1 and power:
        text = f"{top:0{power + 1}d}"
        texts += [f"{text[:-power]}.{text[-power:]}", rf"{top} \times 10^{{-{power}}}", f"{top}e-{power}"]
    if digits == 1 and power and set(str(top)) != {"9"}:
        value = top + Fraction(1, 3)
        assert number(rf"{text[:-power]}.{text[-power:]}\overline{{3}}").value == value / bottom
    return texts


@given(BIG, st.one_of(BIG, st.integers(0, 39).map(lambda power: 10**power)), BIG, BIG)
@settings(max_examples=200)
def test_equal_rationals_are_equal_and_different_ones_differ(top, bottom, other_top, other_bottom):
    others = [(other_top, other_bottom), (top + 1, bottom), (top, bottom + 1), (bottom, top)]
    numbers = [number(text) for text in forms(top, bottom)]
    for one in numbers:
        assert one.value == Fraction(top, bottom)
        assert same_number(numbers[0], one)
        assert number(f"-{top}/{bottom}").value == -one.value
    for pair in others:
        different = number(rf"\frac{{{pair[0]}}}{{{pair[1]}}}")
        assert same_number(numbers[0], different) == (Fraction(top, bottom) == Fraction(*pair))
