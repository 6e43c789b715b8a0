"""One spelling for the many of an answer, and its unit."""

import pytest

from hierrouter_jax.bridge.grading.latex.clean import Measured, clean, measured, without_fonts


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        (r"\dfrac{1}{2} + \left(3\right)", r"\frac{1}{2} + (3)"),
        ("10{,}080", "10080"),
        (r"10\,080", "10080"),
        (r"3 \text{ and } 4", "3, 4"),
        ("1.5 million", r"1.5 \times 10^{6}"),
        ("minus 5", "-5"),
        (r"x \leq 3", r"x \le 3"),
        ("$7$.", "7"),
        ("√2", r"\sqrt{2}"),
        ("5 thouſand", r"5 \times 10^{3}"),
        ("5 MİLLION", r"5 \times 10^{6}"),
        ("5 mıllion", r"5 \times 10^{6}"),
        ("5 \u212ag", "5 Kg"),
    ],
)
def test_an_answer_has_one_spelling(text, spelling):
    assert clean(text) == spelling


def test_what_is_no_answer_alone_keeps_its_words():
    assert clean("3 and 4", answer=False) == "3 and 4"
    assert clean("1.5 million", answer=False) == "1.5 million"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18 eggs", Measured("18", "eggs")),
        (r"5 \text{ inches}^2", Measured("5", "inches^2", True)),
        (r"5 \text{ square feet}", Measured("5", "feet^2", True)),
        ("50%", Measured("50", "percent", True)),
        ("$5", Measured("5", "dollars", True)),
        ("5x", Measured("5x")),
        ("5", Measured("5")),
    ],
)
def test_a_unit_is_parted_from_its_value(text, value):
    assert measured(text) == value


def test_fonts_go_from_numbers_and_stay_around_words():
    assert without_fonts(r"\text{13 cm}") == r"13 \text{cm}"
    assert without_fonts(r"\mathrm{e}^2 + \mathbf 3") == "e^2 + 3"
    assert without_fonts(r"\operatorname{ln} x") == r"\ln  x"
    assert without_fonts(r"\text{east}") == r"\text{east}"
