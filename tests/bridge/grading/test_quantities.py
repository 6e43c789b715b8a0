"""A number in prose is the whole written number, or none."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.bridge.grading.gsm8k import Gsm8kGrader
from hierrouter_jax.bridge.grading.quantities import decimal, quantities, word_quantities
from hierrouter_jax.outcomes.table import Query

SMALL = st.integers(min_value=2, max_value=10**40 - 1)


def right(response: str, gold: Fraction | int | str) -> bool:
    return Gsm8kGrader()([response], [Query("q", "?", "gsm8k", str(gold), "test")])[0].quality == 1


WHOLE = [  # answer, its value, what a reading in part would give
    ("two thousand", "2000", ["2", "1000"]),
    ("two hundred and seven", "207", ["2", "7", "200"]),
    ("ninety-nine", "99", ["90", "9"]),
    ("forty thousand five hundred", "40500", ["40", "500", "5"]),
    ("a hundred", "100", ["1"]),
    ("three and a half", "3.5", ["3", "2"]),
    ("three quarters", "0.75", ["3", "4"]),
    ("4 million", "4000000", ["4"]),
    ("$2.75 million", "2750000", ["2.75", "2"]),
    ("7 hundred", "700", ["7"]),
    ("3 thousand and 40", "3040", ["3", "40", "3000"]),
    ("6 Millionen", "6000000", ["6"]),
    ("6万", "60000", ["6"]),
    ("$8k", "8000", ["8"]),
    ("$8M", "8000000", ["8"]),
    ("20 000", "20000", ["20", "0"]),
    ("1 234 567", "1234567", ["1", "234", "567"]),
    ("20'000", "20000", ["20"]),
    ("3.000.000", "3000000", ["3"]),
    ("2.500,75", "2500.75", ["2.5", "75", "2"]),
    ("4,5", "4.5", ["4", "5"]),
    ("0,125", "0.125", ["125", "0"]),
    ("minus 12", "-12", ["12"]),
    ("negative twelve", "-12", ["12"]),
    ("-$12", "-12", ["12"]),
    ("$-12", "-12", ["12"]),
    ("7 x 10^4", "70000", ["7", "10", "4"]),
    (r"7 \times 10^{4}", "70000", ["7", "10", "4"]),
    ("7 × 10⁴", "70000", ["7", "10", "4"]),
    ("7e4", "70000", ["7", "4"]),
    ("2^10", "1024", ["2", "10"]),
    (r"\sqrt{81}", "9", ["81"]),
    ("3 * 4", "12", ["3", "4"]),
    ("20 minus 6", "14", ["20", "6"]),
    ("30 + 4 * 2", "38", ["30", "2", "4", "68"]),
    ("5/8", "0.625", ["5", "8"]),
    ("1¾", "1.75", ["1", "3", "4"]),
    ("30 m^2", "30", ["2"]),
    ("30 m²", "30", ["2"]),
    ("5 MİL", "5000", ["5"]),  # letters that a pattern takes for i, s and k when it ignores case
    ("5 mıllion", "5000000", ["5"]),
    ("ſix thouſand", "6000", ["6", "1000"]),
    ("5\u212a", "5000", ["5"]),
]


@pytest.mark.parametrize(("answer", "value", "parts"), WHOLE, ids=[answer for answer, _, _ in WHOLE])
def test_a_number_is_read_whole(answer, value, parts):
    for shape in ("The answer is {}.", r"\boxed{{{}}}", "#### {}", "<answer>{}</answer>"):
        assert right(shape.format(answer), value), shape
        assert [part for part in parts if right(shape.format(answer), part)] == [], shape


@pytest.mark.parametrize(
    "answer",
    [
        "1.2.3",
        "1,2,3,4",
        "3, 4",
        "3 and 4",
        "3; 4",
        "(2+3)*4",
        "5x",
        r"\sqrt{80}",
        "2:45",
        "10-12",
        "10 to 12",
        "five six",
    ],
)
def test_what_is_no_single_number_is_no_part_of_it(answer):
    assert not any(right(rf"\boxed{{{answer}}}", gold) for gold in range(1, 100))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("x1 = 5 and y_2 = 6", ["5", "6"]),
        ("2 * 3 = 6 eggs", ["6", "6"]),
        ("12 hundred eggs", ["1200"]),
        ("3 dozen", ["3"]),
        ("5 minus 3 is 2", ["2", "2"]),
        ("a 5-minute walk", ["5"]),
        ("18 - a lot", ["18"]),
        ("the 3rd of 4", ["3", "4"]),
        ("3 thousandths", ["3"]),
        ("50% of 8", ["50", "8"]),
        ("3 500-gram bags", ["3", "500"]),
    ],
)
def test_the_numbers_of_a_text(text, values):
    assert [one.value for one in quantities(text)] == [Fraction(value) for value in values]


@given(SMALL, st.sampled_from(["{:d}", "{:,d}", "{:,d}.00"]))
def test_a_whole_number_is_itself_and_not_its_neighbours(number, form):
    text = form.format(number)
    assert decimal(text) == number
    assert decimal(text.replace(",", " ")) == number
    for shape in ("The answer is {}.", r"\boxed{{{}}}"):
        assert right(shape.format(text), number)
        assert not right(shape.format(text), number + 1)
        assert not right(shape.format(f"-{text}"), number)


@given(SMALL, SMALL, st.integers(-3, 3))
def test_equal_fractions_are_equal_and_different_ones_differ(top, bottom, step):
    for text in (f"{top}/{bottom}", rf"\frac{{{top}}}{{{bottom}}}"):
        assert right(rf"\boxed{{{text}}}", f"{top + step}/{bottom}") == (step == 0)


@given(st.integers(1, 10**12), st.sampled_from([10**3, 10**6, 10**9]))
def test_scale_words_multiply(number, scale):
    word = {10**3: "thousand", 10**6: "million", 10**9: "billion"}[scale]
    assert right(f"The answer is {number} {word}.", number * scale)
    assert not right(f"The answer is {number} {word}.", number)


def test_numbers_in_words_have_their_sign():
    words = word_quantities("minus two and a half, then twenty-one")
    assert [(one.written, one.value) for one in words] == [
        ("minus two and a half", Fraction(-5, 2)),
        ("twenty one", Fraction(21)),
    ]
