"""What inspect shows of a pool: names and money whole at any width."""

import io

import pytest
from rich.console import Console

from hierrouter_jax.cli.result_tables import print_result
from hierrouter_jax.cli.summary import pool_tables, splits_tables

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
