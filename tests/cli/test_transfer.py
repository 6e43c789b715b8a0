"""What a study of transfer prints, by hand."""

import io

from rich.console import Console

from hierrouter_jax.cli.main import main
from hierrouter_jax.cli.transfer import added_table, left_out_table, sentences
from hierrouter_jax.config import load_yaml
from hierrouter_jax.outcomes.store import save_table
from tests.tables import random_table


def row(policy: str, task: str, difference: float) -> dict:
    measures = {"accuracy": 0.5, "accuracy_ci": [0.4, 0.6], "in_distribution": 0.5 - difference, "queries": 10}
    return measures | {"policy": policy, "task": task, "difference": difference, "ci": [difference - 0.1, -0.01]}


RESULT = {
    "learners": ["exact"],
    "table": {"tasks": ["a", "b"]},
    "left_out_task": [row("exact", "a", -0.2), row("exact", "b", -0.4), row("random", "a", -0.05)],
    "untested_tasks": ["c"],
    "cheapest_cost": 2.0,
    "added_model": [
        {"policy": "exact", "known": 20, "model": "new", "cost": 3.0, "used": 0.25}
        | {"accuracy": 0.5, "accuracy_ci": [0.4, 0.6]}
    ],
}


def lines(table: object) -> list[list[str]]:
    console = Console(width=120, file=io.StringIO())
    console.print(table)
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_a_learner_loses_the_mean_and_the_worst():
    minus = "\N{MINUS SIGN}"
    assert sentences(RESULT) == [
        f"Not trained on the benchmark, exact is off by {minus}30.0 points in the mean of 2, at worst by {minus}40.0 "
        f"({minus}50.0 to {minus}1.0) on b.",
        "Without test queries, and so never left out: c.",
    ]


def test_a_row_a_task_and_policy():
    shown = lines(left_out_table(RESULT))
    minus = "\N{MINUS SIGN}"
    assert ["a"] in shown
    assert [
        "exact",
        "*",
        "10",
        "50.0",
        "40.0–60.0",
        "70.0",
        f"{minus}20.0",
        f"{minus}30.0",
        "to",
        f"{minus}1.0",
    ] in shown
    assert any(line[:2] == ["random", "10"] for line in shown)


def test_costs_are_in_units_of_the_cheapest_model():
    shown = lines(added_table(RESULT))
    assert ["20"] in shown
    assert ["exact", "*", "50.0", "40.0–60.0", "1.50", "25.0"] in shown


def test_its_folder_says_all_that_it_was_told(tmp_path, monkeypatch):
    save_table(random_table(), tmp_path / "table")
    monkeypatch.setattr("hierrouter_jax.studies.transfer.transfer", lambda *_: RESULT)
    out = tmp_path / "transfer"
    assert main(["transfer", str(tmp_path / "table"), "--out", str(out), "--opponents", "[random]", "--json"]) == 0
    config = load_yaml(out / "config.yaml")
    assert (config["opponents"], config["model"], config["known"]) == (["random"], None, [0, 20, 100])
