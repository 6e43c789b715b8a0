"""Equality of mathematical answers: exact for numbers, by meaning for equations, inequalities, sets and fonts."""

import pytest

from hierrouter_jax.bridge.grading.latex.compare import asks_for, judge, no_algebra
from hierrouter_jax.bridge.grading.math import MathGrader
from hierrouter_jax.outcomes.table import Query

CASES = {
    "numbers to their last digit": [  # gold, right answers, wrong answers
        (r"2^{-70}", [r"\frac{1}{2^{70}}", r"4^{-35}"], [r"2^{-71}", "0", r"2^{-70}+2^{-130}"]),
        (r"\frac{1}{50!}", [r"\frac{51}{51!}"], [r"\frac{1}{51!}", r"\frac{1}{49!}"]),
        (r"3^{150}+2", [r"2+3^{150}"], [r"3^{150}", r"3^{150}+1"]),
        (r"\sqrt{3}", [r"\frac{3}{\sqrt{3}}", r"\sqrt[4]{9}"], [r"\sqrt{3}+10^{-25}", r"\sqrt{3+10^{-40}}"]),
        (r"\pi", ["3.14159265358979323846264338"], ["3.14159265358979323846264341", r"\pi+10^{-60}"]),
        ("0", [r"\sqrt{8}-2\sqrt{2}"], [r"10^{-45}", "1e-300"]),
        (r"10^{-33}", [r"0.1^{33}"], [r"10^{-34}", r"10^{-33}+10^{-90}"]),
        (r"\frac{10^{50}+1}{10^{50}}", [r"1+10^{-50}"], ["1"]),
        (r"\frac{x}{3^{80}}", [r"\frac{3x}{3^{81}}"], [r"\frac{x}{3^{81}}"]),
        ("0.1x", [r"\frac{x}{10}"], [r"0.1000000000000000000001x"]),
        ("60!", [r"60\cdot 59!"], ["60!+1", "60!-1"]),
        (r"e^{-100}", [r"\frac{1}{e^{100}}"], [r"e^{-101}", "0"]),
        (r"(x+1)^2", [r"x^2+2x+1"], [r"x^2+2x+1+10^{-30}"]),
        (r"|x|", [r"\sqrt{x^2}"], ["x", "-x"]),
        (r"-1", ["i^2"], ["i"]),
    ],
    "equations as answers": [
        ("7", ["x=7", "7=x", "7 = n", r"\text{Total} = 7", r"x = \frac{14}{2} = 7", "f(1) = 7", "3+4=7", "AB = 7"], []),
        ("7", [], ["x+3=7", "3x=7", "x^2=7", "7=x+3", "2y - 1 = 7", "x+y=7", "3+5=7", "x^2-7=0", r"\sqrt{x}=7"]),
        (r"7\pi", [r"A = 7\pi", r"7\pi = V"], [r"2r = 7\pi"]),
        ("2x+1", ["y = 2x+1", "f(x) = 2x+1", r"f^{-1}(x) = 2x+1", r"(f \circ g)(x) = 2x+1"], ["3y = 2x+1"]),
        ("x = 7", ["7", "7 = x"], ["x + 1 = 8", "y = 7", "7 = y"]),
        (r"30^\circ", [r"\angle ABC = 30^\circ", r"m\angle B = 30"], [r"2\angle ABC = 30^\circ"]),
    ],
    "equations rearranged": [
        ("3x+y=6", ["y=6-3x", "y-6=-3x", "6x+2y=12", "6-3x=y", r"x=\frac{6-y}{3}"], ["y=6+3x", "3x+y=7", "6"]),
        ("y=x^2-1", ["x^2-y=1", "y+1=x^2", "x^2-y-1=0"], ["y=x^2+1", "x=y^2-1"]),
        ("x^2+y^2=9", [r"\frac{x^2}{9}+\frac{y^2}{9}=1", "9-x^2=y^2"], ["x^2+y^2=3", "x^2-y^2=9"]),
        (r"y=\frac{1}{x}", ["xy=1"], ["xy=2"]),
        ("a=b+c", ["c=a-b"], ["c=b-a"]),
    ],
    "inequalities": [
        (r"(-\infty,4)", ["x<4", "4>x", r"-\infty<x<4"], [r"4\ge x", "x>4", "4<x"]),
        (r"[-1,4)", [r"-1\le x<4", r"4>x\ge -1", r"x\ge -1 \text{ and } x<4", r"-1 \le x, x<4"], [r"4\ge x\ge -1"]),
        (
            r"(-\infty,0)\cup(2,\infty)",
            [r"x<0 \text{ or } x>2", "0>x or 2<x", "x<0, x>2"],
            [r"x\le 0 \text{ or } x>2", "0<x<2"],
        ),
        ("t > 2", ["2 < t"], ["2 > t"]),
        (r"n \le 10", [r"10 \ge n", "n ≤ 10", r"n \leqslant 10"], ["n<10"]),
    ],
    "intervals and sets": [
        ("(0,1)", ["]0,1[", "]0;1["], ["[0,1]", "]0,1]"]),
        ("[0,1)", ["[0,1["], ["]0,1]"]),
        (r"(-\infty,1)\cup(2,\infty)", [r"]-\infty,1[\cup]2,\infty["], [r"]-\infty,1]\cup]2,\infty["]),
        (
            r"\emptyset",
            [r"\varnothing", r"\{\}", "∅", r"\{ \}", r"\text{no solution}", r"\text{empty set}"],
            ["0", r"\{0\}"],
        ),
        (
            r"\mathbb{R}",
            [r"(-\infty,\infty)", "ℝ", r"x\in\mathbb{R}", r"\mathbb R", r"\text{all real numbers}"],
            [r"(0,\infty)"],
        ),
        (r"(-\infty,5)\cup(5,\infty)", [r"\mathbb{R}\setminus\{5\}"], [r"\mathbb{R}\setminus\{4\}"]),
    ],
    "fonts, words and signs": [
        (r"e^3", [r"\mathrm{e}^3", r"\mathrm e^3", r"\text{e}^3"], [r"\mathrm{e}^2"]),
        ("4-i", [r"4-\mathrm{i}", r"4-\text{i}", r"-\mathbf{i}+4"], [r"4+\mathrm{i}"]),
        (r"\ln 3", [r"\mathrm{ln}\,3", r"\operatorname{ln}(3)"], [r"\mathrm{ln}\,2"]),
        (
            "42",
            [r"\text{42}", r"\mathbf{42}", r"\textbf{42}", r"\mathrm{42}", r"\boldsymbol{42}", r"\text{forty-two}"],
            [r"\text{43}"],
        ),
        ("-42", [r"\text{-42}", r"\text{minus }42", "negative 42"], ["42", r"\text{42}"]),
        (
            r"\frac{4}{9}",
            [r"\mathbf{\frac{4}{9}}", r"\text{4/9}", r"0.\overline{4}", "0.444...", r"0.\dot{4}"],
            ["0.444"],
        ),
        ("42", [r"\text{42 cm}", r"42\,\mathrm{cm}", "42 apples"], [r"\text{24 cm}"]),
        ("2000000", [r"2 \text{ million}", "2 million", r"2\times 10^6", "2 000 000"], ["2", r"2 \text{ thousand}"]),
        ("20", [], ["20 000", r"20 \text{ thousand}"]),
        (r"\frac{\sqrt{3}}{2}", ["√3/2", "½√3", r"½\sqrt{3}"], ["√3"]),
        (r"\frac{5}{8}", ["⅝", "5⁄8"], ["⅜"]),
        (r"\frac{7}{3}", ["2⅓"], [r"\frac{2}{3}"]),
        ("x^{12}", ["x¹²"], ["x^{1}2"]),
        (r"\frac{5}{12}", [r"0.41\overline{6}", "0.41666...", "0.41(6)"], [r"0.\overline{416}", "0.4166"]),
        (r"\frac{3}{11}", [r"0.\overline{27}", "0.272727..."], [r"0.\overline{72}", "0.27"]),
    ],
}
ROWS = [
    (kind, gold, answer, right)
    for kind, cases in CASES.items()
    for gold, same, other in cases
    for answers, right in ((same, True), (other, False))
    for answer in answers
]


@pytest.fixture(scope="module")
def graded():
    queries = [Query(str(row), "?", "math", gold, "test") for row, (_, gold, _, _) in enumerate(ROWS)]
    return MathGrader(workers=0)([rf"So \boxed{{{answer}}}." for _, _, answer, _ in ROWS], queries)


@pytest.mark.parametrize("row", range(len(ROWS)), ids=lambda row: f"{ROWS[row][0]}: {ROWS[row][1]} ~ {ROWS[row][2]}")
def test_variations(graded, row):
    assert (graded[row].quality == 1) == ROWS[row][3], graded[row].reason


def test_an_equation_states_what_the_question_asks_for():
    question = "Suppose $a+b=4$ and $ab=1$. What is $a^2+b^2$?"
    assert asks_for(question, "a^2 + b^2")
    assert not asks_for(question, "a+b")
    assert judge("14", "a^2+b^2 = 14", no_algebra, question) == "right"
    assert judge("14", "a^2+b^2 = 14", no_algebra) == "wrong: equation"
    query = Query("q", question, "math", "14", "test")
    assert MathGrader(workers=0)([r"\boxed{a^2+b^2=14}"], [query])[0].quality == 1
