"""A benchmark left out of training, and a model that joined the pool after it, on tables of known answers."""

import json

import numpy as np
import pytest

from hierrouter_jax.baselines.problem import Policy
from hierrouter_jax.cli.main import main
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.policy_outcome import ending_at
from hierrouter_jax.outcomes.store import save_table
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies import transfer as transfer_module
from hierrouter_jax.studies.transfer import (
    add_model,
    learner,
    leave_one_task_out,
    opponent,
    transfer,
    with_new_model,
    without_task,
)
from hierrouter_jax.training.settings import TrainConfig
from tests.baselines.known_tables import choice
from tests.tables import random_table, replicated, written_again


def test_what_another_benchmark_needs_is_not_known_without_it():
    """Model 1 is right on all of task0, model 2 on all of task1, each on none of the other; the query tells which."""
    rows = leave_one_task_out(choice(), {"linear": opponent("linear", 0.0), "task": opponent("task-sequence", 0.0)})
    assert [(row["task"], row["policy"]) for row in rows] == [
        (task, name) for task in ("task0", "task1") for name in ("linear", "task")
    ]
    for row in rows:
        assert (row["accuracy"], row["in_distribution"], row["difference"]) == (0, 1, -1)
        assert row["queries"] == sum(q.split == "test" and q.task == row["task"] for q in choice().queries)


def test_replicates_are_no_further_evidence():
    once, thrice = (leave_one_task_out(table, {"task": opponent("task-sequence", 0.0)}) for table in _once_and_thrice())
    assert thrice == once
    once, thrice = (add_model(table, "m2", [40], {"linear": opponent("linear", 0.0)}) for table in _once_and_thrice())
    assert thrice == once


def test_duplicates_are_one_piece_of_evidence_as_replicates_are():
    """With task0 in its training a policy asks model 1, right on all of it, else model 0, right on two in three."""

    def fit(table: OutcomeTable) -> Policy:
        both = len({query.task for query in table.queries if query.split == "train"}) > 1
        return lambda part: ending_at(np.full(part.num_queries, 2 if both else 1), part.tree)

    replicates = replicated(choice(), 2)
    one, other = (leave_one_task_out(table, {"it": fit})[0] for table in (replicates, written_again(replicates)))
    assert (one["task"], one["difference"]) == ("task0", pytest.approx(other["difference"]))
    assert one["ci"][0] < one["difference"] < one["ci"][1]
    assert other["ci"] == pytest.approx(one["ci"])


def _once_and_thrice() -> tuple[OutcomeTable, OutcomeTable]:
    return choice(), replicated(choice(), 3)


def test_the_left_out_task_is_tested_and_no_other():
    left = without_task(
        random_table(queries=24, tasks=3, splits=("train",) * 3 + ("validation",) * 3 + ("test",) * 3), "task1"
    )
    assert {(query.task == "task1", query.split) for query in left.queries} == {
        (False, "train"),
        (False, "validation"),
        (True, "test"),
    }
    with pytest.raises(InputError, match="task 'task9' is none of the table's"):
        without_task(random_table(), "task9")


def test_a_model_that_nobody_saw_is_used_once_some_outcomes_are_known():
    """Model 2 alone answers task1; with its outcomes known to 40 training queries the choice is found again."""
    rows = add_model(choice(), "m2", [0, 40], {"linear": opponent("linear", 0.0)})
    unseen, seen = rows
    assert (unseen["used"], unseen["known"]) == (0, 0)
    assert seen["used"] == pytest.approx(0.5, abs=0.15)
    assert seen["accuracy"] > unseen["accuracy"] + 0.1


def test_a_new_model_is_missing_from_all_but_some_training_queries():
    table = random_table(queries=30, models=3, horizon=2)
    split = np.array([query.split for query in table.queries])
    partial = with_new_model(table, "m1", 4)
    called = np.array([1 in table.tree.route(node) for node in range(table.tree.num_nodes)])
    assert partial.available[:, ~called].all()
    assert partial.available[split == "test"].all()
    assert not partial.available[split == "validation"][:, called].any()
    assert (partial.available[split == "train"][:, called].all(axis=1)).sum() == 4
    assert (partial.response[~partial.available] == "").all()
    with pytest.raises(InputError, match="known is 11, but must be from 0 to the 10 training queries"):
        with_new_model(table, "m1", 11)
    with pytest.raises(InputError, match="model 'm7' cannot be the pool's new one"):
        with_new_model(table, "m7", 0)


def without_test_queries(table: OutcomeTable, task: str) -> OutcomeTable:
    return table.select(np.array([(query.task, query.split) != (task, "test") for query in table.queries]))


@pytest.fixture
def untrained(monkeypatch):
    """Routers that answer with the new model, whatever they were trained on."""

    class Router:
        chosen_seed, diverged = 3, np.zeros(4, bool)

        def end_probability(self, part: OutcomeTable, seed: int) -> np.ndarray:
            return np.eye(4)[np.full(part.num_queries, seed)]

    def train(table: OutcomeTable, config: TrainConfig, progress: bool) -> tuple[dict, None]:
        return dict.fromkeys(config.learners, Router()), None

    monkeypatch.setattr(transfer_module, "train_routers", train)


def test_a_study_asks_everybody_and_says_what_it_could_not_ask(untrained):
    table = without_test_queries(choice(), "task0")
    found = transfer(table, TrainConfig(learners=("exact",)), ("linear",), "m2", (0, 40), progress=False)
    assert found["untested_tasks"] == ["task0"]
    rows = [(row["task"], row["policy"], row["accuracy"], row["in_distribution"]) for row in found["left_out_task"]]
    assert [row[:2] for row in rows] == [("task1", name) for name in ("exact", "linear", "pool-agnostic")]
    assert [row[2:] for row in rows[:2]] == [(1.0, 1.0), (0.0, 1.0)]
    assert [(row["known"], row["policy"]) for row in found["added_model"]] == [
        (known, name) for known in (0, 40) for name in ("exact", "linear", "pool-agnostic")
    ]
    assert found["cheapest_cost"] > 0
    with pytest.raises(InputError, match="opponents: 'linaer' is none of this table's; did you mean linear"):
        transfer(table, TrainConfig(), ("linaer",), progress=False)
    with pytest.raises(InputError, match="two with training and validation queries"):
        transfer(table.select(table.task == 1), TrainConfig(), progress=False)


def test_the_verb_prints_every_policy_and_writes_the_numbers(untrained, tmp_path, capsys):
    save_table(without_test_queries(choice(), "task0"), tmp_path / "table")
    told = ["transfer", str(tmp_path / "table"), "--out", str(tmp_path / "out"), "--opponents", "[linear]"]
    told += ["--model", "m2", "--known", "[0, 40]"]
    assert main(told) == 0
    shown = capsys.readouterr().out
    assert "exact is off by 0.0 points in the mean of 1, at worst by 0.0 (0.0 to 0.0) on task1" in shown
    assert "never left out: task0" in shown
    assert shown.count("exact *") == 3
    assert "\u2212100.0 \u2212100.0 to \u2212100.0" in shown
    assert main([*told, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "out" / "transfer.json").read_text())
    assert main([*told, "--known", "[1000]"]) == 2
    assert "known is 1000, but must be from 0 to" in capsys.readouterr().err


def test_a_learner_is_trained_on_the_table_it_is_given_and_answers_at_its_chosen_seed(monkeypatch):
    table, trained = choice(40), []

    class Router:
        chosen_seed, diverged = 3, np.zeros(4, bool)

        def end_probability(self, part: OutcomeTable, seed: int) -> np.ndarray:
            return np.eye(4)[np.full(part.num_queries, seed)]

    def train(table: OutcomeTable, config: TrainConfig, progress: bool) -> tuple[dict, None]:
        trained.append((table, config.learners))
        return {"exact": Router()}, None

    monkeypatch.setattr(transfer_module, "train_routers", train)
    row = add_model(table, "m2", [5], {"exact": learner("exact", TrainConfig())})[0]
    assert row["used"] == 1
    assert trained[0][1] == ("exact",)
    assert not trained[0][0].available.all()
