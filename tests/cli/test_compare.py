"""The table of a comparison, by hand: a row an arm and cost weight, then the opponents that are shown."""

import io

from rich.console import Console

from hierrouter_jax.cli.compare import comparison_table


def test_a_row_an_arm_and_cost_weight_then_opponents():
    accuracy, cost = {"mean": 0.5, "mean_ci": [0.4, 0.6]}, {"mean": 30.0, "mean_ci": [20.0, 40.0]}
    point = {"cost_weight": 0.1, "accuracy": accuracy, "cost": cost, "return": {"mean": 0.2, "mean_ci": [0.1, 0.3]}}
    opponent = {"cost_weight": None, "return": None, "accuracy": 0.7, "accuracy_ci": [0.6, 0.8], "cost": 5.0}
    result = {
        "cost_normaliser": 10.0,
        "money_unit": "flops",
        "seeds": [0, 1],
        "table": {"queries": 30, "split": "test"},
        "arms": [{"name": "plain", "points": [point]}, {"name": "mine", "points": [point]}],
        "opponents": [opponent | {"name": name} for name in ("task-sequence", "random")],
        "comparisons": [
            {"a": "mine", "cost_weight": 0.1, "metric": "return", "verdict": "better"},
            {"a": "mine", "cost_weight": 0.1, "metric": "accuracy", "verdict": "worse"},
        ],
    }
    console = Console(width=120, file=io.StringIO())
    console.print(comparison_table(result))
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    numbers = ["0.1", "50.0", "40.0–60.0", "3.00", "2.00–4.00", "20.0", "10.0–30.0"]
    assert ["plain", *numbers] in lines
    assert ["mine", *numbers, "better"] in lines
    assert ["task-sequence", "70.0", "60.0–80.0", "0.50"] in lines
    assert not any(line[:1] == ["random"] for line in lines)
    assert "30 queries of the test split, 2 seeds" in console.file.getvalue()
    assert "cost 1 = 10 flops, a mean call" in " ".join(console.file.getvalue().split())
