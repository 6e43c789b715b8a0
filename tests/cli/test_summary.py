"""What inspect shows of a pool: names and money whole at any width."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from hierrouter_jax.cli.main import main
from hierrouter_jax.cli.result_tables import print_result
from hierrouter_jax.cli.summary import (
    by_task,
    members_by_task,
    pool_tables,
    print_members,
    splits_tables,
    table_summary,
)
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.store import EXTERNAL, save_table
from hierrouter_jax.outcomes.table import OutcomeTable, Query
from tests.tables import random_table

NAMES = ("WizardLM/WizardLM-13B-V1.2", "meta/code-llama-instruct-34b-chat", "gpt-4-1106-preview")
POOL = [
    {
        "name": name,
        "price_in": price,
        "price_out": 2 * price,
        "parameters": None,
        "max_new_tokens": 512,
        "flops_per_token": None,
        "accuracy_alone": 0.4397,
        "mean_cost": 100 * price,
    }
    for name, price in zip(NAMES, (3.17e-7, 8.6e-7, 1.66e-5), strict=True)
]
SPLITS = [
    {
        "split": name,
        "queries": 12_345,
        "left_out": left_out,
        "tasks": 54,
        "oracle_fixed": 0.9064,
        "oracle_stop": 0.9164,
        "co_failure": 0.0457,
    }
    for name, left_out in (("train", 0), ("validation", 2))
]


def lines_of(tables, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    print_result(console, *tables)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("width", "shown", "hidden"),
    [
        (100, ("44.0", "0.317", "0.634", "512"), ()),
        (80, ("44.0", "0.317", "0.634"), ("max new tokens",)),
        (66, ("44.0", "0.317"), ("price out", "max new tokens")),
        (44, ("44.0",), ("mean cost", "price in", "price out", "max new tokens")),
        (20, ("44.0",), ("mean cost", "price in", "price out", "max new tokens")),
    ],
)
def test_columns_give_way_and_names_never_do(width, shown, hidden):
    lines = lines_of(pool_tables(POOL, "dollars"), width)
    assert [line.split()[0] for line in lines[3:6]] == list(NAMES)
    cells = lines[3].split()[1:]
    assert all(number in cells for number in shown)
    assert all(line.count("\N{HORIZONTAL ELLIPSIS}") == 0 for line in lines)
    caption = " ".join(lines[6:])
    assert "in dollars: prices per million tokens, costs per 1,000 calls" in " ".join(caption.split())
    assert all(name in caption for name in hidden)
    assert ("--json" in caption) == bool(hidden)
    assert "parameters" not in " ".join(lines)


def test_money_that_is_not_little_is_by_the_token_and_call():
    rows = [row | {"price_in": 0.37, "price_out": 0.37, "mean_cost": 12.25} for row in POOL]
    lines = lines_of(pool_tables(rows, "points"), 100)
    assert "12.250" in lines[3]
    assert "0.370" in lines[3]
    assert "in points: prices per token, costs per call" in lines[6]


def test_queries_left_out_have_a_column_where_there_are_some():
    assert "left out" in lines_of(splits_tables(SPLITS), 100)[1]
    assert "left out" not in lines_of(splits_tables(SPLITS[:1]), 100)[1]
    narrow = lines_of(splits_tables(SPLITS), 80)
    assert "for left out use a wider terminal" in " ".join(narrow)
    assert narrow[3].split() == ["train", "12,345", "54", "91.6", "4.6", "90.6"]


MEMBERS = ("Qwen2.5-Coder-1.5B-Instruct, brief finisher", "Qwen2.5-Coder-1.5B-Instruct, worker")


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
        pool=tuple(PricedModel(name, 1.0, 1.0) for name in MEMBERS),
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
    assert list(rows) == [(task, name) for task in ("math", "code", "all tasks") for name in MEMBERS]
    assert rows["math", MEMBERS[0]] == {
        "task": "math",
        "model": MEMBERS[0],
        "first_hop": {"hops": 2, "accuracy": 0.5, "truncated": 1.0, "tokens_in": 10.0, "tokens_out": 1.0},
        "all_hops": {"hops": 6, "accuracy": 0.5, "truncated": 2 / 3, "tokens_in": 30.0, "tokens_out": 3.0},
    }
    assert rows["math", MEMBERS[1]]["first_hop"]["accuracy"] == 0.0
    assert rows["math", MEMBERS[1]]["all_hops"]["accuracy"] == pytest.approx(2 / 6)
    code = rows["code", MEMBERS[1]]
    assert code["first_hop"] == code["all_hops"]
    assert code["first_hop"] == {"hops": 1, "accuracy": 1.0, "truncated": 0.0, "tokens_in": 20.0, "tokens_out": 2.0}
    both = rows["all tasks", MEMBERS[0]]
    assert (both["first_hop"]["hops"], both["all_hops"]["hops"]) == (3, 7)
    assert both["first_hop"]["accuracy"] == pytest.approx(1.5 / 3)
    assert both["all_hops"]["tokens_in"] == pytest.approx((6 * 30 + 10) / 7)


def test_hops_that_are_missing_are_not_counted(by_hand):
    available = by_hand.available.copy()
    available[2, 2] = False
    rows = by_task(replace(by_hand, available=available))
    (row,) = (row for row in rows if (row["task"], row["model"]) == ("code", MEMBERS[1]))
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
    for name in MEMBERS:
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
    assert all(name in said for name in (*MEMBERS, "by task, beside the pool", "all tasks"))
    assert main(["inspect", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["by_task"] == by_task(by_hand)
    assert [row["model"] for row in told["external_by_task"]] == ["m0"] * 3


def test_a_model_without_a_first_hop_has_no_mean(by_hand, recwarn):
    """Of a partial table; JSON has no NaN."""
    available = by_hand.available.copy()
    available[:, [2, 5, 6]] = False  # the second model's hop, and the hops after it
    summary = table_summary(replace(by_hand, available=available))
    assert (summary["pool"][1]["accuracy_alone"], summary["pool"][1]["mean_cost"]) == (None, None)
    assert "NaN" not in json.dumps(summary)
    (line,) = (line for line in lines_of(pool_tables(summary["pool"], "tokens"), 100) if line.startswith(MEMBERS[1]))
    assert line.removeprefix(MEMBERS[1]).split()[:2] == ["\N{EN DASH}"] * 2
    assert not recwarn.list


def test_a_question_that_is_asked_twice_counts_once():
    """Two rows of one question, right and wrong, and one of another, wrong: a quarter, not a third; costs likewise."""
    table = random_table(queries=3, models=1, horizon=1)
    queries = [replace(query, task=table.task_names[0], split="test", group="") for query in table.queries]
    queries[1] = replace(queries[1], question=queries[0].id)
    table = replace(
        table,
        queries=tuple(queries),
        quality=np.array([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]),
        tokens_in=np.array([[0, 10], [0, 20], [0, 40]]),
        tokens_out=np.zeros_like(table.tokens_out),
        pool=(replace(table.pool[0], price_in=1.0, price_out=1.0),),
    )
    row = by_task(table)[-1]
    assert (row["first_hop"]["hops"], row["first_hop"]["accuracy"]) == (3, 0.25)
    assert row["first_hop"]["tokens_in"] == pytest.approx((15 + 40) / 2)
    (member,) = table_summary(table)["pool"]
    assert (member["accuracy_alone"], member["mean_cost"]) == (0.25, pytest.approx(27.5))
