"""What inspect says of each model by task: means worked by hand, and names that no terminal cuts."""

import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from hierrouter_jax.cli.main import main
from hierrouter_jax.cli.summary import by_task, members_by_task, print_members
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.store import EXTERNAL, save_table
from hierrouter_jax.outcomes.table import OutcomeTable, Query
from tests.tables import random_table

NAMES = ("Qwen2.5-Coder-1.5B-Instruct, brief finisher", "Qwen2.5-Coder-1.5B-Instruct, worker")


@pytest.fixture
def by_hand() -> OutcomeTable:
    """Two models, two hops: nodes 1 2 | 3 4 5 6, of which 1 3 5 are model 0; two queries of math, one of code."""
    tree = HopTree(2, 2)
    quality = [[0, 1, 0, 1, 1, 0, 0], [0, 0, 0, 1, 0, 0, 1], [0, 0.5, 1, 0, 0, 0, 0]]
    available = np.ones((3, 7), dtype=bool)
    available[2, 3:] = False
    tokens_in = np.array([[0, 10, 20, 30, 40, 50, 60]] * 3, dtype=np.int32) * available
    reasons = [["", "length", "stop", "stop", "length", "length", "stop"]] * 3
    return OutcomeTable(
        tree=tree,
        pool=tuple(PricedModel(name, 1.0, 1.0) for name in NAMES),
        queries=tuple(Query(f"q{row}", "?", task, "!", "test") for row, task in enumerate(("math", "math", "code"))),
        context_embedding=np.zeros((3, 3, 1), dtype=np.float32),
        quality=np.array(quality, dtype=np.float32),
        tokens_in=tokens_in,
        tokens_out=tokens_in // 10,
        available=available,
        response=np.full((3, 7), "", dtype=object),
        encoder={"kind": "ngrams", "size": 1},
        details={"finish_reason": np.array(reasons, dtype=object)},
    )


def test_means_by_hand(by_hand):
    rows = {(row["task"], row["model"]): row for row in by_task(by_hand)}
    assert list(rows) == [(task, name) for task in ("math", "code", "all tasks") for name in NAMES]
    assert rows["math", NAMES[0]] == {
        "task": "math",
        "model": NAMES[0],
        "first_hop": {"hops": 2, "accuracy": 0.5, "truncated": 1.0, "tokens_in": 10.0, "tokens_out": 1.0},
        "all_hops": {"hops": 6, "accuracy": 0.5, "truncated": 2 / 3, "tokens_in": 30.0, "tokens_out": 3.0},
    }
    assert rows["math", NAMES[1]]["first_hop"]["accuracy"] == 0.0
    assert rows["math", NAMES[1]]["all_hops"]["accuracy"] == pytest.approx(2 / 6)
    code = rows["code", NAMES[1]]
    assert code["first_hop"] == code["all_hops"]
    assert code["first_hop"] == {"hops": 1, "accuracy": 1.0, "truncated": 0.0, "tokens_in": 20.0, "tokens_out": 2.0}
    both = rows["all tasks", NAMES[0]]
    assert (both["first_hop"]["hops"], both["all_hops"]["hops"]) == (3, 7)
    assert both["first_hop"]["accuracy"] == pytest.approx(1.5 / 3)
    assert both["all_hops"]["tokens_in"] == pytest.approx((6 * 30 + 10) / 7)


def test_hops_that_are_missing_are_not_counted(by_hand):
    available = by_hand.available.copy()
    available[2, 2] = False
    rows = by_task(replace(by_hand, available=available))
    (row,) = (row for row in rows if (row["task"], row["model"]) == ("code", NAMES[1]))
    assert row["first_hop"] == {"hops": 0} | dict.fromkeys(("accuracy", "truncated", "tokens_in", "tokens_out"))


def test_a_table_that_does_not_say_how_hops_ended(by_hand):
    assert {row["all_hops"]["truncated"] for row in by_task(replace(by_hand, details={}))} == {None}


def test_one_task_has_no_row_of_all(by_hand):
    assert {row["task"] for row in by_task(by_hand.select(np.array([0, 1])))} == {"math"}


def shown(summary, width) -> str:
    console = Console(width=width, highlight=False)
    with console.capture() as capture:
        print_members(console, summary)
    return capture.get()


@pytest.mark.parametrize("width", [80, 100, 120])
def test_names_and_numbers_are_whole_on_a_terminal(by_hand, width):
    lines = shown(members_by_task(by_hand, None), width).splitlines()
    assert max(map(len, lines[:-1])) <= width
    first = lines.index(next(line for line in lines if line.startswith("math")))
    assert lines[first + 1].split()[-4:] == ["50.0", "100.0", "10", "1"]
    for name in NAMES:
        assert sum(name in line for line in lines) == 6  # three tasks, first and all hops


@pytest.mark.parametrize("length", [20, 45, 60, 90, 130])
def test_a_name_of_any_length_is_there_to_its_end(by_hand, length):
    name = ("org/" + "abcdefghij" * 20)[: length - 4] + "-end"
    pool = (replace(by_hand.pool[0], name=name), by_hand.pool[1])
    text = shown(members_by_task(replace(by_hand, pool=pool), None), 80)
    assert max(map(len, text.splitlines()[:-1])) <= 80
    wrapped = "".join(line[:60].strip().split("  ")[0] for line in text.splitlines())
    assert name in wrapped
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert {"50.0", "66.7", "100.0"} <= set(text.split())


def test_more_tasks_than_a_person_reads_are_summed_up(tmp_path, capsys):
    table = random_table(queries=45, models=2, horizon=1, tasks=45)
    summary = members_by_task(table, None)
    assert len(summary["by_task"]) == 92
    text = shown(summary, 80)
    assert "task7" not in text
    assert "all tasks" in text
    assert "45 tasks are not shown; --json tells all" in text
    assert "task7" in shown(members_by_task(table.select(np.arange(10)), None), 80)


@pytest.mark.parametrize("name", ["m[1]", "[bold]", "a/b:c", "[/x]", "Größe"])
def test_a_name_is_no_markup(by_hand, name):
    pool = (replace(by_hand.pool[0], name=name), by_hand.pool[1])
    assert name in shown(members_by_task(replace(by_hand, pool=pool), None), 80)


def test_a_table_of_one_hop_has_one_part(by_hand):
    one = replace(by_hand.up_to(1), details={})
    text = shown(members_by_task(one, None), 80)
    assert "all hops" not in text
    assert "cut %  " not in text


def test_the_verb_shows_and_gives_them(by_hand, tmp_path, capsys):
    save_table(by_hand, tmp_path)
    save_table(random_table(queries=3, models=1, horizon=1), tmp_path / EXTERNAL)
    assert main(["inspect", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in (*NAMES, "by task, beside the pool", "all tasks"))
    assert main(["inspect", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["by_task"] == by_task(by_hand)
    assert [row["model"] for row in told["external_by_task"]] == ["m0"] * 3
