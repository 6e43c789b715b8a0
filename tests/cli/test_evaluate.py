"""The verbs that read a run: evaluate and report; and where a run's table is."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from hierrouter_jax.cli.evaluate import table_folder
from hierrouter_jax.cli.main import main
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import load_table, save_table


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


def test_costs_with_a_prefix_cache_are_shown_where_cached_tokens_have_a_price(run, tmp_path, capsys):
    table = load_table(table_folder(run / "run"))
    pool = tuple(replace(one, price_cached_in=one.price_in / 10) for one in table.pool)
    stage = table.tree.stages
    save_table(replace(table, pool=pool, tokens_cached=table.tokens_in // 2 * (stage > 1)), tmp_path / "table")
    assert main(["evaluate", str(run / "run"), "--table", str(tmp_path / "table"), "--json"]) == 0
    rows = {row["name"]: row["caching"] for row in json.loads(capsys.readouterr().out)["policies"]}
    assert rows["best-single"]["switch_regret"] == 0
    assert rows["best-sequence"]["cost"] < rows["best-sequence"]["cost_uncached"]
    assert main(["evaluate", str(run / "run"), "--table", str(tmp_path / "table")]) == 0
    assert "switch regret: with the cache" in " ".join(capsys.readouterr().out.split())


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
