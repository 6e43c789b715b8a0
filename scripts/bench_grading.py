"""How fast code is graded, and whether every reference solution of HumanEval and MBPP is judged right.

python -m scripts.bench_grading            # needs ../shared/data/benchmarks; writes runs/bench/grading.json

All 664 reference solutions are run against their tests, and again with the last assert negated; then short programs
that import nothing, programs that import five modules, and bare bubblewrap, in turns, from a thread a core.
"""

import ast
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
from jsonargparse import auto_cli

from hierrouter_jax.bridge.grading.code import tests_of
from hierrouter_jax.bridge.grading.sandbox.sandbox import Outcome, ProgramTests, find_sandbox
from scripts.measure import ratio, result, write

Program = tuple[str, str, ProgramTests]
SHORT = ProgramTests("", (), (("assert 1", "assert f([1, 2]) == [2, 3]"),))
KINDS = {
    "no import": "def f(x): return [y + 1 for y in x]",
    "five imports": "import collections, heapq, itertools, math, re\ndef f(x): return [y + 1 for y in x]",
}

# What a sandbox alone costs: no limits, no tests, no verdict; the yardstick on a machine that others use too.
BARE = "bare bubblewrap, python -I, five imports"
_BARE_COMMAND = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "/usr/bin/python3", "-I", "-c"]
_BARE_COMMAND += ["import collections, heapq, itertools, math, re"]


def main(
    benchmarks: Path = Path("../shared/data/benchmarks"),
    programs: int = 200,
    rounds: int = 5,
    out: Path = Path("runs/bench/grading.json"),
) -> None:
    """Measure and write the figures.

    Args:
      benchmarks: folder with `openai_humaneval` and `mbpp`.
      programs: of each kind in a round.
      rounds: of each kind, in turns.
      out: JSON file.
    """
    references = benchmark_programs(benchmarks)
    passed = run_all(references)
    refused = run_all([(name, program, negated(tests)) for name, program, tests in references])
    for (name, _, _), right, wrong in zip(references, passed, refused, strict=True):
        if not right.passed or not wrong.reason.startswith("wrong"):
            print(f"{name}: {right.reason}; negated: {wrong.reason}")
    results = [
        result("references that pass", [sum(outcome.passed for outcome in passed)], f"of {len(references)}"),
        result("negated that fail", [sum(not outcome.passed for outcome in refused)], f"of {len(references)}"),
    ]
    rates: dict[str, list[float]] = {name: [] for name in [*KINDS, BARE]}
    for _ in range(rounds):
        for name, source in KINDS.items():
            rates[name].append(rate(lambda source=source: run_all([("", source, SHORT)] * programs), programs))
        rates[BARE].append(rate(lambda: run_bare(programs), programs))
    ratios = {f"{name} over bare": ratio(rates[name], rates[BARE]) for name in KINDS}
    write(out, results + [result(name, values, "programs/s") for name, values in rates.items()], ratios)


def run_all(programs: Sequence[Program]) -> list[Outcome]:
    sandbox = find_sandbox()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        return list(threads.map(lambda item: sandbox.run(item[1], item[2]), programs))


def run_bare(programs: int) -> None:
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        list(threads.map(lambda _: subprocess.run(_BARE_COMMAND, check=True), range(programs)))


def rate(work: Callable[[], object], amount: int) -> float:
    started = time.perf_counter()
    work()
    return amount / (time.perf_counter() - started)


def benchmark_programs(benchmarks: Path) -> list[Program]:
    """Name, reference solution and tests of HumanEval's and MBPP's rows."""
    found = []
    for row in pq.read_table(benchmarks / "openai_humaneval/test.parquet").to_pylist():
        tests = tests_of({"kind": "humaneval", **row})
        found.append((row["task_id"], row["prompt"] + row["canonical_solution"], tests))
    for row in pq.read_table(benchmarks / "mbpp/test.parquet").to_pylist():
        gold = {"kind": "mbpp", "setup": row["test_setup_code"], "tests": row["test_list"], "imports": []}
        found.append((f"MBPP/{row['task_id']}", row["code"], tests_of(gold)))
    return found


def negated(tests: ProgramTests) -> ProgramTests:
    """The tests with their last assert turned into its contrary."""
    *others, (label, source) = tests.steps
    tree = ast.parse(source)
    last = max((node for node in ast.walk(tree) if isinstance(node, ast.Assert)), key=lambda node: node.lineno)
    last.test = ast.UnaryOp(ast.Not(), last.test)
    return replace(tests, steps=(*others, (label, ast.unparse(ast.fix_missing_locations(tree)))))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
