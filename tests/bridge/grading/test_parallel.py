"""Grading over processes: in order, once each, kept across runs, and killed where it hangs."""

import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hierrouter_jax.bridge.grading.parallel import VerdictCache, grade_all, grade_kept
from hierrouter_jax.bridge.grading.verdict import Verdict
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query

QUERIES = [Query(id=str(i), text="", task="t", gold=str(i), split="test") for i in range(6)]


@dataclass(frozen=True)
class Counting:
    """Right where the response is the gold; writes a line for each call; some responses hang, die or are refused."""

    log: Path
    identity: str = "counting 1"

    def __call__(self, responses, queries):
        for response in responses:
            with self.log.open("a") as file:
                file.write(response + "\n")
            if response == "hang":
                time.sleep(60)
            if response == "die":
                os._exit(3)
            if response == "refuse":
                raise InputError("query 3: no such thing")
        return [
            Verdict(float(r == q.gold), r, r if r.startswith("no verdict") else "told")
            for r, q in zip(responses, queries, strict=True)
        ]


@dataclass(frozen=True)
class Holding:
    """A grader with something that no other process can have."""

    held: object

    def __call__(self, responses, queries):
        return []


def test_verdicts_come_in_order_once_each_and_are_kept(tmp_path):
    grader = Counting(tmp_path / "log")
    responses = ["0", "x", "2", "0", "4", "5"]
    queries = [*QUERIES[:3], QUERIES[0], *QUERIES[4:]]
    cache = VerdictCache(tmp_path / "verdicts.sqlite")
    found = grade_all(grader, responses, queries, cache, progress=False)
    assert [verdict.quality for verdict in found] == [1, 0, 1, 1, 1, 1]
    assert sorted(grader.log.read_text().split()) == ["0", "2", "4", "5", "x"]
    cache.close()
    again = VerdictCache(tmp_path / "verdicts.sqlite")
    assert grade_all(grader, responses, queries, again, progress=False) == found
    assert len(grader.log.read_text().split()) == 5
    grade_all(Counting(grader.log, "counting 2"), responses[:1], queries[:1], again, progress=False)
    assert len(grader.log.read_text().split()) == 6


def test_a_file_of_verdicts_is_read_and_left_closed(tmp_path):
    grader, path = Counting(tmp_path / "log"), tmp_path / "verdicts.sqlite"
    for _ in range(2):
        assert [verdict.quality for verdict in grade_kept(grader, ["0"], QUERIES[:1], path)] == [1]
        assert {file.name for file in tmp_path.iterdir()} == {"log", "verdicts.sqlite"}  # no write-ahead file
    assert grader.log.read_text().split() == ["0"]


def test_a_grader_that_hangs_or_dies_costs_one_answer(tmp_path):
    grader = Counting(tmp_path / "log")
    responses = ["0", "hang", "die", "3"]
    cache = VerdictCache(None)
    started = time.monotonic()
    found = grade_all(grader, responses, QUERIES[:4], cache, progress=False, seconds=1.0, workers=1)
    assert time.monotonic() - started < 40
    assert [verdict.quality for verdict in found] == [1, 0, 0, 1]
    assert [verdict.reason.partition(":")[0] for verdict in found] == ["told", "timeout", "crashed", "told"]


@pytest.mark.parametrize("reason", ["no verdict: bwrap: Creating new namespace failed: x", "no verdict: setpriv: x"])
def test_a_sandbox_that_did_not_start_is_asked_again(reason, tmp_path):
    """A program that says nothing is judged once for all; a machine that could not run it is not."""
    grader, cache = Counting(tmp_path / "log"), VerdictCache(None)
    for _ in range(2):
        grade_all(grader, [reason, "no verdict"], QUERIES[:2], cache, progress=False, workers=1)
    assert grader.log.read_text().split("\n") == [reason, "no verdict", reason, ""]


@dataclass(frozen=True)
class Giving:
    """A grader that gives what it holds, whatever it is asked."""

    answer: Any

    def __call__(self, responses, queries):
        return self.answer


@pytest.mark.parametrize("answer", [[], [1.0], None, 1.0, [Verdict(1.0, "", "right")] * 2, Verdict(1.0, "", "right")])
def test_a_grader_gives_one_verdict_for_each_response(answer):
    with pytest.raises(InputError, match="query 0: the grader must give one Verdict for each response, but gave"):
        grade_all(Giving(answer), ["0"], QUERIES[:1], progress=False)


def test_what_a_grader_refuses_is_raised_here(tmp_path):
    with pytest.raises(InputError, match="query 3: no such thing"):
        grade_all(Counting(tmp_path / "log"), ["refuse"], QUERIES[:1], progress=False)


def test_graders_that_cannot_be_sent_or_named_are_refused():
    with pytest.raises(InputError, match="cannot be sent"):
        grade_all(Holding(threading.Lock()), ["0"], QUERIES[:1], progress=False)
    with pytest.raises(InputError, match="no `identity`"):
        grade_all(lambda responses, queries: [], ["0"], QUERIES[:1], VerdictCache(None), progress=False)


def test_another_file_is_no_verdict_cache(tmp_path):
    (tmp_path / "text").write_text("no database, but long enough to be looked at" * 99)
    sqlite3.connect(tmp_path / "other").execute("CREATE TABLE t (x)").connection.close()
    for name in ("text", "other"):
        with pytest.raises(InputError, match=rf"{name}: .*name another file"):
            VerdictCache(tmp_path / name)


BY_MATH = """
from hierrouter_jax.bridge.grading.math import MathGrader
from hierrouter_jax.outcomes.table import Query

print("started")
queries = [Query(str(n), "", "math", "(x+1)^2", "test") for n in range(2)]
print([verdict.quality for verdict in MathGrader(workers=1)(["$x^2+2x+1$", "$x^2+2x+2$"], queries)])
"""
BY_OWN = """
import os
from hierrouter_jax.bridge.grading.parallel import grade_all
from hierrouter_jax.bridge.grading.verdict import Verdict
from hierrouter_jax.outcomes.table import Query

print("started")
PARENT = os.getpid()

class Own:
    def __call__(self, responses, queries):
        return [Verdict(float(os.getpid() != PARENT), r, "here") for r in responses]

queries = [Query(str(n), "", "t", "1", "test") for n in range(2)]
print([verdict.quality for verdict in grade_all(Own(), ["a", "b"], queries, progress=False, workers=1)])
"""


def by_script(source: str, folder: Path) -> tuple[list[str], str]:
    (folder / "plain.py").write_text(source)
    return [sys.executable, str(folder / "plain.py")], ""


def by_standard_input(source: str, folder: Path) -> tuple[list[str], str]:
    return [sys.executable, "-"], source


def by_option(source: str, folder: Path) -> tuple[list[str], str]:
    return [sys.executable, "-c", source], ""


def by_notebook(source: str, folder: Path) -> tuple[list[str], str]:
    """As a kernel does: cells are run in a `__main__` that has no file and no importable name."""
    (folder / "kernel.py").write_text(
        textwrap.dedent(
            """
            import sys, types
            cells = sys.stdin.read().split("\\n\\n")
            main = types.ModuleType("__main__")
            sys.modules["__main__"] = main
            for cell in cells:
                exec(compile(cell, "<cell>", "exec"), main.__dict__)
            """
        )
    )
    return [sys.executable, str(folder / "kernel.py")], source


@pytest.mark.parametrize("source", [BY_MATH, BY_OWN], ids=["by algebra", "by a grader of its own"])
@pytest.mark.parametrize("way", [by_script, by_standard_input, by_option, by_notebook])
def test_workers_run_nothing_of_the_program_that_asks(way, source, tmp_path):
    """No main guard: the program starts once, in whichever way it is run, and gets its verdicts."""
    command, given = way(source, tmp_path)
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        command,
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": root},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = {BY_MATH: "[1.0, 0.0]", BY_OWN: "[1.0, 1.0]"}[source]
    assert done.stdout.split("\n") == ["started", expected, ""]


def test_a_worker_is_not_misled_by_modules_in_the_working_folder(tmp_path):
    (tmp_path / "multiprocessing.py").write_text("raise SystemExit(3)")
    (tmp_path / "scripts").mkdir()
    command, _ = by_script(BY_OWN, tmp_path / "scripts")
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=env, check=False)
    assert done.stdout.split("\n") == ["started", "[1.0, 1.0]", ""], done.stderr
