"""A leaderboard's table, by hand."""

import io

import pytest
from rich.console import Console

from hierrouter_jax.cli.leaderboard import board_table, cheapest
from hierrouter_jax.cli.result_tables import print_result

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


def test_the_unit_of_costs_is_the_cheapest_single_model_that_costs_anything():
    policies = [{"name": "a", "cost": 0.0}, {"name": "b", "cost": 3.0}, {"name": "ours", "cost": 1.0}]
    board = {"table": {"pool": [{"name": "a"}, {"name": "b"}]}, "policies": policies}
    assert cheapest(board) == 3.0
    assert cheapest(board | {"policies": policies[:1]}) is None
