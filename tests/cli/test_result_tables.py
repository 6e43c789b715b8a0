"""The result table of the terminal."""

import io
import re
import subprocess
import sys

import pytest
from rich.console import Console

from hierrouter_jax.cli.result_tables import plain_console, plain_table, print_result, result_console, result_table
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


def shown(*tables, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    print_result(console, *tables)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


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


@pytest.mark.parametrize("name", ["qwen[thinking]", "a[/b]", "[red]x", "m:100:8k", r"a\[b]"])
def test_a_name_is_shown_as_it_is_wherever_it_stands(name, capsys):
    table = plain_table(title=name, caption=name)
    table.add_column(name)
    table.add_row(name)
    console = result_console()
    print_result(console, table)
    console.print(name, style="dim")
    assert capsys.readouterr().out.count(name) == 5


def test_a_plain_console_keeps_styles():
    console = plain_console(file=io.StringIO(), force_terminal=True, color_system="standard", no_color=False)
    console.print("[bold]", style="bold")
    assert console.file.getvalue() == "\x1b[1m[bold]\x1b[0m\n"


def test_printing_loads_no_plotting():
    heavy = "{'matplotlib', 'torch', 'jax', 'pandas'}"
    code = f"import sys, hierrouter_jax.cli.result_tables; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
