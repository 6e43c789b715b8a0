"""Who is ours: by validation, the first named of those near the best."""

from typing import cast

import numpy as np

from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome, ending_at, policy_outcome
from hierrouter_jax.studies.leaderboard.board import Participants, board, choose
from hierrouter_jax.studies.leaderboard.config import OURS
from hierrouter_jax.studies.leaderboard.result import Judged
from hierrouter_jax.studies.leaderboard.splits import Split
from tests.studies.leaderboard.known import known_table
from tests.tables import replicated


def test_the_first_of_those_that_validation_cannot_tell_apart_is_ours():
    """Differences 1, 0, 0, 0: mean .25, error .25: not told apart. Differences 1, 1, 1, 0: mean .75, error .25."""

    def learner(*returns: float) -> list[Judged]:
        return [Judged(cast(PolicyOutcome, None), np.array([returns]), {})]

    best = learner(1.0, 1.0, 1.0, 1.0)
    assert choose({"near": learner(0.0, 1.0, 1.0, 1.0), "best": best}, 1) == ({"near": 1}, [["near"]])
    assert choose({"far": learner(0.0, 0.0, 0.0, 1.0), "best": best}, 1) == ({"best": 1}, [["best"]])


def test_a_board_by_hand():
    """One split of a table on which `task` is always right and `first` on every other query; a call costs 1."""
    table = known_table(40)
    split = Split(*(np.flatnonzero(np.arange(40) % 5 == part) for part in (0, 3, 4)))
    rows = np.arange(40)[split.test]

    def judged(nodes: np.ndarray, kind: str, learner: bool = False) -> list[Judged]:
        outcome = policy_outcome(table.select(rows), ending_at(nodes[rows], table.tree))
        outcome = PolicyOutcome(**{name: values[None] for name, values in vars(outcome).items()})
        about = {"kind": kind, "may_stop": False, "tried": 3} | ({"chosen": "it"} if learner else {})
        return [Judged(outcome, np.ones((2, 8)) if learner else None, about)]

    first, task = np.ones(40, int), 1 + np.asarray(table.task)
    participants = Participants({"best-single": judged(first, "single")}, {"task": judged(task, "learned", True)})
    found = board(table, [split], np.arange(40), participants, (0.0, 0.1), 200)
    accuracy = {row["name"]: (row["accuracy"], row["cost"]) for row in found["policies"]}
    assert accuracy == {"task": (1.0, 1.0), OURS: (1.0, 1.0), "best-single": (0.5, 1.0)}
    assert found["table"]["tested"] == len(rows) == 8
    assert found["cost_normaliser"] == 1.0
    gained = [row for row in found["comparisons"] if row["metric"] == "accuracy"]
    assert [(row["opponent"], row["difference"]) for row in gained] == [("best-single", 0.5)]


def test_a_question_asked_five_times_weighs_as_much_as_another():
    """Two test questions, one right and one wrong; the first is asked five times: half of the questions are right."""
    table = known_table(40)
    rows = np.flatnonzero([query.split == "test" for query in table.queries])[:2]
    table = replicated(table.select(np.sort([0, 3, *rows])), 5)
    test = np.array([row for row in range(table.num_queries) if row < 4 or table.question[row] == 2])[2:]
    split = Split(np.array([0]), np.array([1]), test)
    nodes = np.where(table.question == 2, 1 + table.task, 2 - table.task)
    outcome = policy_outcome(table.select(test), ending_at(nodes[test], table.tree))
    outcome = PolicyOutcome(**{name: values[None] for name, values in vars(outcome).items()})
    about = {"kind": "learned", "may_stop": False, "tried": 1, "chosen": "it"}
    its = [Judged(outcome, np.ones((1, 1)), about)]
    participants = Participants({"twin": its}, {"it": its})
    rows = board(table, [split], np.asarray(table.question), participants, (0.0,), 200)["policies"]
    assert {row["accuracy"] for row in rows} == {0.5}
    assert {cell["accuracy"] for row in rows for cell in row["per_task"].values()} <= {0.0, 0.5, 1.0}
