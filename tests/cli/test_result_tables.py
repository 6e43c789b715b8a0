"""The result table of the terminal."""

import io
import re
import subprocess
import sys

import pytest
from rich.console import Console

from hierrouter_jax.cli.leaderboard import board_table
from hierrouter_jax.cli.result_tables import print_result, result_table
from tests.training.run_folder_fixture import evaluation


def printed(numbers: dict, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    console.print(result_table(numbers))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 100])
def test_it_is_sorted_and_whole(width):
    numbers = evaluation()
    lines = printed(numbers, width)
    names = [re.split(r" {2,}| \*", line)[0] for line in lines]
    order = [name for name in names if name in {row["name"] for row in numbers["policies"]}]
    assert order[:4] == ["ppo+stop", "ppo", "task-sequence+stop", "task-sequence"]
    assert order[-2:] == ["oracle_stop", "oracle_fixed"]
    assert len(order) == len(numbers["policies"])
    assert lines[3].startswith("ppo+stop * ")
    assert "95.8 94.2–97.4  2.48  2.08" in lines[3]
    assert lines[-1] == "600 queries of the test split; 95 % intervals; cost 1 = reader; * learned"
    assert not any("…" in line for line in lines)


def test_columns_stay_aligned_where_an_interval_is_missing():
    lines = printed(evaluation(), 100)
    ends = {re.search(r"\d+\.\d(?= )", line).end() for line in lines[3:-1] if line}
    assert len(ends) == 1


def test_cost_is_relative_to_a_model_and_not_to_a_mixture():
    """`best-single-per-task` may be cheaper than every model alone; it is not a model."""
    numbers = evaluation()
    row = next(row for row in numbers["policies"] if row["name"] == "best-single-per-task")
    row["cost"] = 1.0
    assert "cost 1 = reader" in printed(numbers, 100)[-1]


LONG = ["llama-3.1-nemotron-51b-instruct", "llama-3.3-nemotron-super-51b-instruct", "llama-3.1-nemotron-70b-instruct"]


def shown(*tables, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    print_result(console, *tables)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def long_board() -> dict:
    against = {"difference": 0.222, "ci": [-0.18, 0.265], "verdict": "undecided"}
    row = {"kind": "single", "accuracy": 1.0, "accuracy_ci": [0.991, 1.0], "cost": 8.96, "ours_against": against}
    row |= {"oracle_gap_recovered": {"value": -1.852}, "aiq": {"value": 0.374}}
    split = {"count": 2, "kind": "random", "train": 1, "validation": 1, "test": 1}
    policies = [row | {"name": name} for name in LONG]
    table = {"pool": [{"name": name} for name in LONG]}
    return {"name": "long", "policies": policies, "split": split, "cost_weights": [0.0], "table": table}


@pytest.mark.parametrize(
    ("width", "hidden"), [(100, ()), (84, ("37.4",)), (80, ("37.4", "\u2212185.2")), (40, ("37.4", "\u2212185.2"))]
)
def test_long_names_give_way_and_numbers_never_do(width, hidden):
    board = long_board()
    lines = shown(*(board_table(board, left) for left in ((), ("AIQ",), ("AIQ", "gap %"))), width=width)
    rows = [line for line in lines if "undecided" in line]
    assert len(rows) == 3
    for line in rows:
        for number in ("100.0 99.1\u2013100.0", "1.00", "\u2212185.2", "37.4", "+22.2 \u221218.0 to +26.5"):
            assert (number in line) == (number not in hidden)
    assert all(len(line) <= width for line in lines) or width == 40
    if hidden:
        assert "AIQ" in lines[-1] or "AIQ" in lines[-2]


def test_names_that_would_read_the_same_are_folded():
    """Shortened to 16 columns the first two of these are one."""
    numbers = evaluation()
    names = [
        "a-model-of-seven-billion-instruct",
        "a-model-of-seventy-billion-instruct",
        "another-model-altogether-chat",
    ]
    for row, name in zip(numbers["policies"], names, strict=False):
        row["name"] = name
    starts = [line.partition("  ")[0] for line in shown(result_table(numbers), width=40)]
    assert starts.count("a-model-of-seven") == 2
    assert "anoth\u2026ether-chat" in starts


def test_printing_loads_no_plotting():
    heavy = "{'matplotlib', 'torch', 'jax', 'pandas'}"
    code = f"import sys, hierrouter_jax.cli.result_tables; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
