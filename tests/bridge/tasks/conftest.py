"""A small task of six countries' capitals, two of them asked twice, and where the benchmarks' local copy lies."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bridge.benchmarks import BENCHMARKS

GRADER = """
from hierrouter_jax.bridge.grading import Verdict
from hierrouter_jax.bridge.tasks import Item

seen = []


def row(row):
    return Item(row["question"], row["gold"], dict(row), row.get("stratum", ""), row.get("key", ""))


def grade(responses, queries):
    seen.append((list(responses), [query.id for query in queries]))
    right = [query.gold in response for response, query in zip(responses, queries)]
    reasons = ["right" if r else "wrong: no gold" for r in right]
    return [Verdict(float(r), text[:3], reason) for r, text, reason in zip(right, responses, reasons)]
"""

TASK = """
name: NAME
source:
  path: json
  files: {train: train.jsonl, test: test.jsonl}
  splits: {train: train, validation: train, test: test}
rows: own.py:row
grader: own.py:grade
prompt: {question: "Q: {{ question }}", answer: "A: {{ gold }}", answer_format: "Be brief."}
"""


@pytest.fixture
def benchmarks() -> Path:
    if not BENCHMARKS.is_dir():
        pytest.skip(f"the local copy of the benchmarks is not there ({BENCHMARKS}); HIERROUTER_DATA names its folder")
    return BENCHMARKS


@pytest.fixture
def own_task(tmp_path) -> Callable[..., Path]:
    """Makes a task out of rows by split, with a grader and rows of its own; more YAML lines may follow or replace."""

    def make(rows: dict[str, list[dict]], more: str = "", name: str = "own", text: str = TASK) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "own.py").write_text(GRADER)
        for split, records in rows.items():
            (folder / f"{split}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        (folder / "task.yaml").write_text(text.replace("NAME", name) + more)
        return folder / "task.yaml"

    return make


@pytest.fixture
def sums() -> Callable[[int, int], list[dict]]:
    """Questions that look nothing alike, in strata of three sizes."""

    def make(count: int, start: int = 0) -> list[dict]:
        rows = []
        for number in range(start, start + count):
            words = " ".join(f"{number * 7919 + k * 104729:x}" for k in range(9))
            rows.append({"question": f"What is {words}?", "gold": str(number), "stratum": "abbccc"[number % 6]})
        return rows

    return make
