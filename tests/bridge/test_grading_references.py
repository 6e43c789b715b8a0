"""References grade equal to themselves however they are written, and unequal to what only looks like them."""

import os
import re
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.bridge.grading.gsm8k import Gsm8kGrader
from hierrouter_jax.bridge.grading.latex.numbers import read_number, same_number
from hierrouter_jax.bridge.grading.markup import boxes
from hierrouter_jax.bridge.grading.math import MathGrader
from hierrouter_jax.outcomes.table import Query
from tests.bridge.answer_rewritings import OTHER, SAME, Rewrite

ROOT = Path(__file__).parents[2]
BENCHMARKS = Path(os.environ.get("HIERROUTER_DATA", ROOT.parent / "shared" / "data")) / "benchmarks"


def benchmark(name: str) -> pd.DataFrame:
    path = BENCHMARKS / name / "test.parquet"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return pd.read_parquet(path)


def unexpected(golds: list[str], rewrites: dict[str, Rewrite], right: bool) -> list[str]:
    """Which rewritings of which golds are graded the other way."""
    cases = [(name, gold, text) for gold in golds for name, rewrite in rewrites.items() if (text := rewrite(gold))]
    queries = [Query(str(row), "?", "math", gold, "test") for row, (_, gold, _) in enumerate(cases)]
    verdicts = MathGrader()([rf"Hence \boxed{{{text}}}" for _, _, text in cases], queries)
    assert len(cases) > len(golds)
    return [
        f"{name}: {gold} ~ {text}: {verdict.reason}"
        for (name, gold, text), verdict in zip(cases, verdicts, strict=True)
        if (verdict.quality == 1) != right
    ]


@pytest.mark.parametrize(("rewrites", "right"), [(SAME, True), (OTHER, False)], ids=["same", "other"])
def test_math_references_in_other_words(rewrites, right):
    golds = sorted({boxes(solution)[-1][1] for solution in benchmark("math").solution})
    assert len(golds) > 250
    assert unexpected(golds, rewrites, right) == []


GSM8K_SAME = [
    "{}",
    "Thinking of 7 and 12.\nThe answer is {}.",
    "#### {}",
    r"\boxed{{{}}}",
    r"\boxed{{{}.00}}",
    r"\boxed{{\${}}}",
    r"\boxed{{{}\%}}",
    r"\boxed{{{} \text{{ apples}}}}",
    r"\boxed{{x = {}}}",
    r"So 2 * 3 = 6, and $x = {}$.",
    "**Answer:** {} apples for 3 days.",
    "He pays **${}** in the end.",
    "That makes {} km.\n\nLet me know if you need more than 1 explanation!",
]


def test_gsm8k_golds_in_other_words():
    golds = [answer.rpartition("####")[2].strip() for answer in benchmark("gsm8k").answer]
    plain = [gold.replace(",", "") for gold in golds]
    written = [plain, [f"{int(gold):,}" for gold in plain]]
    other = [str(int(gold) + 1) for gold in plain]
    queries = [Query(str(row), "?", "gsm8k", gold, "test") for row, gold in enumerate(golds)]
    assert len(golds) == 1319
    for shape in GSM8K_SAME:
        for texts, quality in ((written[0], 1.0), (written[1], 1.0), (other, 0.0)):
            verdicts = Gsm8kGrader()([shape.format(text) for text in texts], queries)
            assert [v for v in verdicts if v.quality != quality] == [], shape


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
