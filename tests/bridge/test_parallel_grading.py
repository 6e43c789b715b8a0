"""Grading over processes: in order, once each, kept across runs, and killed where it hangs."""

import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from hierrouter_jax.bridge.grading.parallel import VerdictCache, grade_all
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
        return [Verdict(float(r == q.gold), r, "told") for r, q in zip(responses, queries, strict=True)]


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


def test_a_grader_that_hangs_or_dies_costs_one_answer(tmp_path):
    grader = Counting(tmp_path / "log")
    responses = ["0", "hang", "die", "3"]
    cache = VerdictCache(None)
    started = time.monotonic()
    found = grade_all(grader, responses, QUERIES[:4], cache, progress=False, seconds=1.0, workers=1)
    assert time.monotonic() - started < 40
    assert [verdict.quality for verdict in found] == [1, 0, 0, 1]
    assert [verdict.reason.partition(":")[0] for verdict in found] == ["told", "timeout", "crashed", "told"]


def test_what_a_grader_refuses_is_raised_here(tmp_path):
    with pytest.raises(InputError, match="query 3: no such thing"):
        grade_all(Counting(tmp_path / "log"), ["refuse"], QUERIES[:1], progress=False)


def test_graders_that_cannot_be_sent_or_named_are_refused():
    with pytest.raises(InputError, match="cannot be sent"):
        grade_all(lambda responses, queries: [], ["0"], QUERIES[:1], progress=False)
    with pytest.raises(InputError, match="no `identity`"):
        grade_all(lambda responses, queries: [], ["0"], QUERIES[:1], VerdictCache(None), progress=False)


def test_another_file_is_no_verdict_cache(tmp_path):
    (tmp_path / "text").write_text("no database, but long enough to be looked at" * 99)
    sqlite3.connect(tmp_path / "other").execute("CREATE TABLE t (x)").connection.close()
    for name in ("text", "other"):
        with pytest.raises(InputError, match=rf"{name}: .*name another file"):
            VerdictCache(tmp_path / name)
