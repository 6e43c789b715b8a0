"""The tasks of a leaderboard: results are files, and each depends on all that it was made of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.studies.leaderboard.config import entrants
from hierrouter_jax.studies.leaderboard.splits import Split
from hierrouter_jax.studies.leaderboard.work import Task, chosen_opponents, digest, do, done_here, job, table_digest
from tests.studies.leaderboard.known import config, known_table

SPLIT = Split(np.arange(0, 40), np.arange(40, 60), np.arange(60, 80))


def test_opponents_are_those_named_and_the_pools_own_models():
    table = known_table()
    assert set(chosen_opponents(table, ("random",))) == {"random", "m0", "m1"}
    assert set(chosen_opponents(table, ("random",))) < set(chosen_opponents(table, None))
    with pytest.raises(InputError, match="opponents: 'randon' is unknown; did you mean random"):
        chosen_opponents(table, ("randon",))


def test_a_result_is_another_one_where_what_it_depends_on_is():
    table = known_table()
    known = table_digest(table)
    assert known == table_digest(known_table())
    quality = table.quality.copy()
    quality[0, 1] = 1 - quality[0, 1]
    assert known != table_digest(replace(table, quality=quality))
    one = job(Path("table"), Path("out"), SPLIT, (0.0,), 4, 0, known)
    assert one.digest == job(Path("elsewhere"), Path("out"), SPLIT, (0.0,), 4, 0, known).digest
    assert one.digest != job(Path("table"), Path("out"), SPLIT, (0.1,), 4, 0, known).digest
    assert one.digest != job(Path("table"), Path("out"), SPLIT, (0.0,), 4, 1, known).digest
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 2, "b": 1})


def test_a_task_writes_the_results_of_its_participants(folder, tmp_path):
    table = known_table()
    one = job(folder, tmp_path, SPLIT, (0.0,), 4, 0, table_digest(table))
    learners, _ = entrants(config(folder, tmp_path), horizon=1)
    tasks = [Task(one, ("best-single", "m1")), Task(one, learners["task"])]
    assert [task.participants for task in tasks] == [("best-single", "m1"), (learners["task"],)]
    assert one.load("m1") is None
    assert list(done_here(tasks, do)) == tasks
    m1, task = one.load("m1"), one.load(learners["task"])
    assert m1 is not None
    assert task is not None
    assert m1.outcome.quality[0].tolist() == table.quality[60:, 2].tolist()
    assert (task.outcome.quality == 1).all()
    assert sorted(path.parent.name for path in tmp_path.rglob("*.safetensors")) == [
        "learners",
        "opponents",
        "opponents",
    ]
