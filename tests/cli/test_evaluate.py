"""The verbs that read a run: evaluate and report; and where a run's table is."""

import json

import pandas as pd
import pytest

from hierrouter_jax.cli.main import main
from hierrouter_jax.files import read_json


def test_evaluate_report_and_export(run, tmp_path, capsys):
    folder = str(run / "run")
    assert main(["evaluate", folder, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == read_json(run / "run" / "evaluation.json")
    assert main(["evaluate", folder, "--split", "validation"]) == 0
    assert "validation split" in capsys.readouterr().out
    assert main(["report", folder]) == 0
    tree = pd.read_csv(run / "run" / "data" / "hop_tree.csv")
    assert tree.query("stage == 1")["probability"].sum() == pytest.approx(1, abs=1e-5)
    assert main(["export", folder, str(tmp_path / "policy"), "--learner", "ppo", "--seed", "1"]) == 0
    assert read_json(tmp_path / "policy" / "policy.json")["provenance"]["seed"] == 1


def test_two_policies_of_a_run_are_compared_as_they_were_evaluated(run):
    folder = str(run / "run")
    assert main(["evaluate", folder]) == 0
    assert main(["report", folder, "--a", "ppo", "--b", "task-sequence", "--query", "q1"]) == 0
    pair = read_json(run / "run" / "report.json")["pair"]
    evaluated = {row["name"]: row for row in read_json(run / "run" / "evaluation.json")["policies"]}
    for letter, name in (("a", "ppo"), ("b", "task-sequence")):
        assert pair[letter] == name
        assert pair["accuracy"][letter] == pytest.approx(evaluated[name]["accuracy"])
        assert pair["cost"][letter] == pytest.approx(evaluated[name]["cost"])
    assert sum(pair["counts"].values()) == pair["queries"] == 30
    assert "text 1" in (run / "run" / "report.html").read_text()
