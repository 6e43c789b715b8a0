"""Why nobody is right, on tables whose every response is known."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.cli.main import main
from hierrouter_jax.outcomes.failures import CAUSES, nobody_right, rows_by_task
from hierrouter_jax.outcomes.store import save_table
from tests.tables import random_table

# Of six queries, what each of two models did: quality, how it ended, the verdict and what was extracted.
RIGHT, WRONG = (1.0, "stop", "right", "4"), (0.0, "stop", "wrong: value", "5")
CUT, CUT_UNREAD = (0.0, "length", "wrong: value", "7"), (0.0, "length", "no answer", "")
UNREAD, MARKED, OWN = (0.0, "stop", "no answer", ""), (0.0, "stop", "unmarked", "9"), (0.0, "stop", "wrong", " ")
LOST, SLOW = (0.0, "failed", "failed: out of credit", ""), (0.0, "stop", "timeout", "")
RESPONSES = [(RIGHT, WRONG), (WRONG, WRONG), (WRONG, CUT), (UNREAD, CUT_UNREAD), (MARKED, LOST), (LOST, SLOW)]


def table_of(responses, tasks=2):
    table = random_table(queries=len(responses), models=len(responses[0]), horizon=1, tasks=tasks)
    quality, details = np.zeros_like(table.quality), {}
    columns = {name: np.full(quality.shape, "", dtype=object) for name in ("finish_reason", "reason", "extracted")}
    for row, its in enumerate(responses):
        for model, (value, *texts) in enumerate(its):
            quality[row, 1 + model] = value
            for column, text in zip(columns.values(), texts, strict=True):
                column[row, 1 + model] = text
    return replace(table, quality=quality, details=details | columns)


def test_tasks_with_queries_and_all_of_several():
    table = random_table(queries=4, tasks=2)
    by_task = {name: rows.tolist() for name, rows in rows_by_task(table).items()}
    assert by_task == {"task0": [True, False] * 2, "task1": [False, True] * 2, "all tasks": [True] * 4}
    assert set(rows_by_task(random_table(queries=4, tasks=1))) == {"task0"}


def test_the_causes_by_hand():
    """Queries 0, 2 and 4 are of task0. Cut comes before unread, unread before failed, and wrong is what is left."""
    first, second, both = nobody_right(table_of(RESPONSES))
    assert [row["task"] for row in (first, second, both)] == ["task0", "task1", "all tasks"]
    assert (both["queries"], both["nobody_right"]) == (6, 5)
    assert both["by_query"] == {"failed": 1, "truncated": 2, "format": 1, "wrong": 1}
    assert first["by_query"] == {"failed": 0, "truncated": 1, "format": 1, "wrong": 0}
    assert second["by_query"] == {"failed": 1, "truncated": 1, "format": 0, "wrong": 1}
    assert both["by_response"] == {"failed": 2, "truncated": 2, "format": 2, "wrong": 4}
    assert both["reasons"] == {"wrong": 4, "failed": 2, "no answer": 2, "timeout": 1, "unmarked": 1}


def test_an_answer_of_white_space_was_not_read():
    (row,) = nobody_right(table_of([(OWN, WRONG)], tasks=1))
    assert row["by_query"] == {"failed": 0, "truncated": 0, "format": 1, "wrong": 0}


def test_the_parts_are_the_whole_and_right_answers_have_no_cause():
    rng = np.random.default_rng(0)
    kinds = [RIGHT, WRONG, CUT, UNREAD, LOST]
    drawn = [tuple(kinds[at] for at in rng.integers(0, 5, size=3)) for _ in range(60)]
    for row in nobody_right(table_of(drawn)):
        assert sum(row["by_query"].values()) == row["nobody_right"]
        assert sum(row["by_response"].values()) == 3 * row["nobody_right"] == sum(row["reasons"].values())
        assert "right" not in row["reasons"]


def test_longer_routes_are_told_apart():
    """A second hop that is right answers the query on a route, and not alone."""
    table = random_table(queries=1, models=2, horizon=2, tasks=1)
    quality = np.zeros_like(table.quality)
    quality[0, 3] = 1.0
    table = replace(table, quality=quality)
    alone, anywhere = nobody_right(table)
    assert (alone["hops"], alone["nobody_right"]) == ("one", 1)
    assert (anywhere["hops"], anywhere["nobody_right"]) == ("any", 0)


@pytest.mark.parametrize(
    ("kept", "unknown"),
    [
        ((), ("failed", "truncated", "format")),
        (("finish_reason",), ("format",)),
        (("reason", "extracted"), ("truncated",)),
    ],
)
def test_what_a_table_does_not_tell_is_none(kept, unknown):
    table = table_of([(WRONG, CUT), (UNREAD, WRONG)], tasks=1)
    (row,) = nobody_right(replace(table, details={name: table.details[name] for name in kept}))
    assert {name for name in CAUSES if row["by_query"][name] is None} == set(unknown)
    assert sum(value or 0 for value in row["by_query"].values()) == row["nobody_right"] == 2


def test_inspect_says_why_nobody_is_right(tmp_path, capsys):
    save_table(table_of(RESPONSES), tmp_path / "table")
    assert main(["inspect", str(tmp_path / "table"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["nobody_right"]
    assert rows[-1]["by_query"] == {"failed": 1, "truncated": 2, "format": 1, "wrong": 1}
    assert main(["inspect", str(tmp_path / "table")]) == 0
    shown = capsys.readouterr().out
    assert "nobody is right alone" in shown
    (line,) = (line for line in shown.splitlines() if "all tasks" in line and "83.3" in line)
    assert line.split() == ["all", "tasks", "6", "83.3", "16.7", "33.3", "16.7", "16.7"]
    assert "verdicts of their responses: wrong 4, failed 2, no answer 2, timeout 1, unmarked 1" in shown
