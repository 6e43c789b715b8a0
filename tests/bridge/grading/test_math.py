"""Mathematical answers, decided by reading; each case is one that comparing strings or values alone gets wrong."""

import multiprocessing
import resource
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierrouter_jax.bridge.grading import Verdict, math
from hierrouter_jax.bridge.grading.markup import boxes
from hierrouter_jax.bridge.grading.math import WORKER_MEMORY, MathGrader
from hierrouter_jax.bridge.grading.parallel import grade_all
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query
from tests.bridge.answer_rewritings import OTHER, SAME, Rewrite
from tests.bridge.benchmarks import benchmark

CASES = [  # gold, answer in the box, reason
    (r"\frac{3}{4}", "0.75", "right"),
    (r"\frac 34", "3/4", "right"),
    (r"\frac14", r"\tfrac{1}{4}", "right"),
    (r"\frac{1}{3}", "0.333333", "right"),
    (r"\frac{1}{3}", "0.333", "wrong: value"),  # no third
    (".0000672", r"6.72 \times 10^{-5}", "right"),
    (".0000672", "0.000067", "wrong: value"),  # equal to six places
    (r"1\frac{4}{5}", "9/5", "right"),
    (r"1\frac{4}{5}", r"\frac{14}{5}", "wrong: value"),
    (r"137 \frac{1}{2}", "137.5", "right"),
    (r"10,\!080", "10080", "right"),
    ("58,500", "58{,}500", "right"),
    (r"11,\! 111,\! 111,\! 100", "11111111100", "right"),
    ("58,500", "58,5", "wrong: count"),
    (r"\$18.90", "18.9 dollars", "right"),
    (r"\$18.90", r"18.90 \text{ cents}", "wrong: unit"),
    (r"5.4 \text{ cents}", "5.4", "right"),
    (r"5.4 \text{ cents}", r"\$0.054", "right"),
    (r"5.4 \text{ cents}", r"\$5.4", "wrong: unit"),
    (r"864 \mbox{ inches}^2", r"864\text{ square inches}", "right"),
    (r"864 \mbox{ inches}^2", r"864\text{ inches}", "wrong: unit"),
    (r"106^\circ", r"106\text{ degrees}", "right"),
    (r"106^\circ", "106", "right"),
    ("20", r"20\%", "right"),
    ("0.2", r"20\%", "right"),
    ("(-1,6)", r"\left( -1, 6 \right)", "right"),
    ("(-1,6)", "(6,-1)", "wrong: value"),
    ("(1,2)", r"\{1,2\}", "wrong: form"),
    ("(12,102)", "(12, 102)", "right"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"\left[3, \pi/2\right]", "wrong: form"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"(3, \tfrac12\pi)", "right"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"(3, 1.57)", "wrong: value"),
    ("(3,4]", "(3,4)", "wrong: form"),
    (r"x \in [-2,7]", r"-2 \le x \le 7", "right"),
    (r"x \in [-2,7]", r"-2 < x \leq 7", "wrong: form"),
    (r"(5,\infty)", "x > 5", "right"),
    (r"(-\infty, 2) \cup (3, \infty)", r"(3,\infty)\cup(-\infty,2)", "right"),
    (r"(-\infty, 2) \cup (3, \infty)", r"(-\infty,2]\cup[3,\infty)", "wrong: value"),
    ("3, 5, 7", "7, 3 and 5", "right"),
    ("3, 5, 7", r"\{3,5,7\}", "right"),
    ("3, 5, 7", "3, 5", "wrong: count"),
    ("3, 5, 7", "(3,5,7)", "wrong: form"),
    (r"1 \pm \sqrt{19}", r"1-\sqrt{19}, 1+\sqrt{19}", "right"),
    (r"1 \pm \sqrt{19}", r"1+\sqrt{19}", "wrong: count"),
    (r"\{1\pm\sqrt{5},-2\}", r"\{-2, 1+\sqrt5, 1-\sqrt5\}", "right"),
    ("204_5", "204_{5}", "right"),
    ("11_2", "11_3", "wrong: base"),
    ("52_8", "42", "wrong: value"),  # the same number, but base 8 was asked for
    ("52_8", r"52_{\text{eight}}", "right"),
    ("x=5", "5", "right"),
    ("x=5", "y=5", "wrong: name"),
    ("y = 2x + 3", "2x+3", "right"),
    (r"\text{(B)}", "B", "right"),
    (r"\text{(B)}", r"\textbf{(B)}\ 7", "right"),
    (r"\text{(B)}", "C", "wrong: value"),
    (r"\text{Evelyn}", "evelyn", "right"),
    (r"\text{east}", "west", "wrong: value"),
    (r"\begin{pmatrix} 1/5 \\ -18/5 \end{pmatrix}", r"\begin{bmatrix} 0.2 \\ -3.6 \end{bmatrix}", "right"),
    (r"\begin{pmatrix} 1/5 \\ -18/5 \end{pmatrix}", r"\begin{pmatrix} 1/5 & -18/5 \end{pmatrix}", "wrong: form"),
    (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}", "right"),
    (r"\frac{\sqrt{3}}{3}", "0.57735", "wrong: value"),
    (r"\frac{\sqrt{3}}{3}", "0.577350", "right"),
    ("p - q", "q - p", "wrong: value"),
    ("(a+5)(b+2)", "(b+2)(a+5)", "right"),
    (r"\cot x", r"\frac{\cos x}{\sin x}", "right"),
    ("6+9i", "9i + 6", "right"),
    ("2k", "2", "wrong: value"),
    (r"\frac{11+9a}{20}", r"\frac{9a}{20} + \frac{11}{20}", "right"),
    ("5x - 7y + 11z + 4 = 0", "11z + 5x - 7y + 4 = 0", "right"),
    ("3", "", "no answer"),
]


@pytest.fixture(scope="module")
def graded():
    queries = [Query(str(row), "?", "math", gold, "test") for row, (gold, _, _) in enumerate(CASES)]
    return MathGrader(workers=1)([rf"So \boxed{{{answer}}}." if answer else "" for _, answer, _ in CASES], queries)


@pytest.mark.parametrize("row", range(len(CASES)), ids=lambda row: f"{CASES[row][0]} ~ {CASES[row][1]}")
def test_verdict_by_careful_reading(graded, row):
    gold, answer, reason = CASES[row]
    assert (graded[row].reason, graded[row].quality) == (reason, float(reason == "right")), (gold, answer)
    assert graded[row].extracted == answer


def test_an_endless_comparison_is_killed_and_its_neighbours_are_graded():
    """Towers of powers keep sympy in one C loop that no signal reaches."""
    pairs = [(r"\sqrt{2}", r"9^{9^{9^{9^{9}}}}"), (r"\sqrt{8}", r"2\sqrt{2}"), (r"\sqrt{3}", r"\sqrt{2}")]
    queries = [Query(str(row), "?", "math", gold, "test") for row, (gold, _) in enumerate(pairs)]
    start = time.perf_counter()
    verdicts = MathGrader(seconds=1.0, workers=1)([rf"\boxed{{{answer}}}" for _, answer in pairs], queries)
    assert verdicts[0].quality == 0
    assert verdicts[0].reason in ("timeout", "crash")
    assert [verdict.reason for verdict in verdicts[1:]] == ["right", "wrong: value"]
    assert time.perf_counter() - start < 30


def test_it_grades_within_a_worker_that_may_start_none():
    query = Query("q", "?", "math", r"\sqrt{8}", "test")
    (verdict,) = grade_all(MathGrader(), [r"\boxed{2\sqrt{2}}"], [query], progress=False)
    assert verdict.reason == "right"


def test_a_worker_that_is_not_its_own_is_limited_while_it_compares(monkeypatch):
    """10^{10^{10}} would take all memory there is; what else the worker does has none of the limit."""
    limits = []

    def compare(answers, queries):
        limits.append(resource.getrlimit(resource.RLIMIT_AS)[0])
        return [Verdict(1.0, answer, "right") for answer in answers]

    before = resource.getrlimit(resource.RLIMIT_AS)
    monkeypatch.setattr(math, "_load_algebra", lambda: compare)
    monkeypatch.setattr(multiprocessing.current_process(), "daemon", True)
    MathGrader()([r"\boxed{2\sqrt{2}}"], [Query("q", "?", "math", r"\sqrt{8}", "test")])
    assert WORKER_MEMORY <= limits[0] < 2**50
    assert resource.getrlimit(resource.RLIMIT_AS) == before


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("x^2", r"\frac{d}{dx} (x^2)"), ("x^2", r"\int 2x dx"), ("x+1", r"2\begin{pmatrix}1\\2\end{pmatrix}")],
)
def test_what_sympy_reads_and_cannot_compute_is_wrong_and_its_neighbours_are_graded(gold, answer):
    queries = [Query(str(row), "?", "math", text, "test") for row, text in enumerate((gold, r"\sqrt{8}"))]
    verdicts = MathGrader(workers=0)([rf"\boxed{{{answer}}}", r"\boxed{2\sqrt{2}}"], queries)
    assert [verdict.reason for verdict in verdicts] == ["wrong: value", "right"]


def test_a_query_without_a_gold_answer_is_refused():
    with pytest.raises(InputError, match="query q: gold is empty"):
        MathGrader()(["1"], [Query("q", "?", "math", " ", "test")])
    with pytest.raises(InputError, match="1 responses for 0 queries"):
        MathGrader()(["1"], [])


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


BIG = st.integers(min_value=1, max_value=10**40 - 1)


@given(BIG, BIG, st.integers(-2, 2))
@settings(max_examples=25, deadline=None)
def test_the_grader_tells_neighbours_among_rationals_apart(top, bottom, step):
    gold, answer = rf"\frac{{{top}}}{{{bottom}}}", rf"\boxed{{\frac{{{top + step}}}{{{bottom}}}}}"
    verdict = MathGrader(workers=0)([answer], [Query("q", "?", "math", gold, "test")])[0]
    assert (verdict.quality == 1) == (step == 0)
