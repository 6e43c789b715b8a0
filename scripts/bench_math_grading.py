"""Measure how fast mathematical answers are graded: MATH references against rewritings of themselves.

python -m scripts.bench_math_grading --count 2000

Half of the answers are the reference in another notation and half a different answer; `--algebra` keeps only those
that need math-verify, the slow part.
"""

import itertools
import os
import re
import time
from pathlib import Path

import pandas as pd
from jsonargparse import auto_cli

from hierrouter_jax.bridge.grading.latex.compare import NeedsAlgebraError, judge, no_algebra
from hierrouter_jax.bridge.grading.markup import boxes
from hierrouter_jax.bridge.grading.math import MathGrader
from hierrouter_jax.outcomes.table import Query


def main(
    data: Path = Path("../shared/data"), count: int = 2000, algebra: bool = False, workers: int | None = None
) -> None:
    """Grade `count` answers and print answers a second.

    Args:
      data: folder with `benchmarks/math/test.parquet`.
      count: answers; each gold is paired with itself in another notation and with another answer, over and over.
      algebra: whether to take only pairs that need math-verify.
      workers: processes; as many as there are cores unless given.
    """
    frame = pd.read_parquet(data / "benchmarks" / "math" / "test.parquet")
    golds = [boxes(solution)[-1][1] for solution in frame["solution"]]
    pairs = list(dict.fromkeys(pair for gold in golds for pair in variants(gold)))
    if algebra:
        pairs = [pair for pair in pairs if needs_algebra(*pair)]
    # A number of its own in each round, so that no comparison is answered from an earlier one.
    rounds = itertools.chain.from_iterable(
        (pairs if turn == 0 else [(f"{gold} + {turn}z", f"{text} + {turn}z") for gold, text in pairs])
        for turn in itertools.count()
    )
    taken = list(itertools.islice(rounds, count))
    queries = [Query(str(row), "", "math", gold, "test") for row, (gold, _) in enumerate(taken)]
    responses = [f"{'It follows step by step. ' * 40}\n\nThe answer is $\\boxed{{{text}}}$." for _, text in taken]
    start = time.perf_counter()
    verdicts = MathGrader(workers=workers)(responses, queries)
    seconds = time.perf_counter() - start
    slow = sum(needs_algebra(*pair) for pair in taken)
    lost = sum(verdict.reason in ("timeout", "crash") for verdict in verdicts)
    print(
        f"{count} answers, {slow} by math-verify, on {workers or len(os.sched_getaffinity(0))} workers: "
        f"{seconds:.1f} s, {count / seconds:.0f} a second, {lost} without a verdict"
    )


def variants(gold: str) -> list[tuple[str, str]]:
    """The gold in another notation, and another answer like it."""
    same = gold.replace("\\frac", "\\dfrac").replace("\\sqrt", "1\\cdot\\sqrt").replace("+", " + 0 + ")
    return [(gold, f"{same} "), (gold, re.sub(r"\d(?=\D*$)", lambda digit: str((int(digit[0]) + 1) % 10), gold))]


def needs_algebra(gold: str, text: str) -> bool:
    """Whether forms and numbers do not decide the pair."""
    try:
        judge(gold, text.strip(), no_algebra)
    except NeedsAlgebraError:
        return True
    return False


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
