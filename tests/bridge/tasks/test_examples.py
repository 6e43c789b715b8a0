"""Examples of a task: questions with responses and their verdicts."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.bridge.grading import Verdict
from hierrouter_jax.bridge.tasks.config import load_task
from hierrouter_jax.bridge.tasks.examples import read_examples, read_responses, table_examples
from hierrouter_jax.errors import InputError
from tests.tables import random_table


def test_a_response_need_not_say_whose_it_is(tmp_path):
    lines = [{"id": "x", "response": "4", "model": "m"}, {"id": "x", "response": "5"}]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_responses(tmp_path / "r.jsonl") == {"x": [("m", "4"), ("", "5")]}


def grade(responses, queries):
    return [Verdict(float(text == query.gold), text, "right") for text, query in zip(responses, queries, strict=True)]


def test_the_data_sets_own_solution_is_graded_where_nobody_responded(own_task, sums):
    task = load_task(str(own_task({"train": sums(2), "test": sums(3, 20)})))
    (first, _) = read_examples(task, "test", None, grade, limit=2)
    assert (first.query.id, first.stratum, first.query.gold) == ("own-test-00000", "b", "20")
    assert [turn.role for turn in first.turns] == ["user"]
    (reference,) = first.responses
    assert (reference.by, reference.response, reference.verdict.quality) == ("reference", "A: 20", 0.0)


def test_responses_are_graded_and_an_unknown_id_is_refused(own_task, sums):
    task = load_task(str(own_task({"train": sums(2), "test": sums(3, 20)})))
    (only,) = read_examples(task, "test", None, grade, {"own-test-00001": [("m", "21"), ("n", "22")]})
    assert [(one.by, one.verdict.quality) for one in only.responses] == [("m", 1.0), ("n", 0.0)]
    with pytest.raises(InputError, match=r"id 'x' is no question of task own, split test; its ids run from"):
        read_examples(task, "test", None, grade, {"x": [("m", "21")]})


def test_a_tables_first_responses_come_with_their_verdicts():
    table = random_table(queries=2, models=2, horizon=2)
    shape = table.quality.shape
    details = {"extracted": np.full(shape, "7", dtype=object), "reason": np.full(shape, "right", dtype=object)}
    (example,) = table_examples(replace(table, details=details), "task1")
    assert example.query.id == "q1"
    assert [(one.by, one.response) for one in example.responses] == [("m0", "r1.1"), ("m1", "r1.2")]
    assert example.responses[0].verdict == Verdict(float(table.quality[1, 1]), "7", "right")
    with pytest.raises(InputError, match="no queries of task 'x'; its tasks are task0, task1"):
        table_examples(table, "x")
    with pytest.raises(InputError, match="keeps no verdicts: it was imported, or collected by an older version"):
        table_examples(table, "task1")
