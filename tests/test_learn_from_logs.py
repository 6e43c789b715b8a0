"""The comparison of learners on logs goes on with the same table alone."""

import sys

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.store import save_table
from scripts import learn_from_logs as study
from tests.tables import random_table


def scores(episodes, table, seed):
    test = table.split("test")
    return {"first": lambda: np.zeros((test.num_queries, test.tree.num_decision_nodes, test.tree.num_models))}


def test_it_goes_on_with_the_same_table_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "learners", scores)
    for name, seed in (("one", 1), ("other", 2)):
        save_table(random_table(seed, queries=12, horizon=2), tmp_path / name)

    def run(table, *options):
        command = ["learn_from_logs", str(tmp_path / table), "--out", str(tmp_path / "out"), "--episodes", "20"]
        monkeypatch.setattr(sys, "argv", [*command, *options])
        study.main()
        return (tmp_path / "out" / "results.jsonl").read_text().splitlines()

    first = run("one", "--seeds", "1")
    assert len(first) == len(study.BEHAVIOURS)
    again = run("one", "--seeds", "2")
    assert (again[: len(first)], len(again)) == (first, 2 * len(first))
    with pytest.raises(InputError, match="holds another study of logs"):
        run("other")
