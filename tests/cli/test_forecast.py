"""What `collect --dry-run` prints, by hand."""

import json

from hierrouter_jax.cli.main import main
from tests.cli.small_run import refused

COMMAND = ["collect", "--dry-run", "--counts", "{train: 8, validation: 8, test: 8}", "--horizon", "1"]


def test_more_hops_than_a_table_has_nodes_for_are_refused(tmp_path, capsys):
    command = ["collect", str(tmp_path / "table"), "--counts", "{train: 8, validation: 8, test: 8}", "--horizon", "20"]
    for more in ([], ["--dry-run"], ["--dry-run", "--plan", "frontier"]):
        line = refused(capsys, *command, *more)
        assert "a hop tree of 3 models and 20 hops has more than 2,147,483,647 nodes; lower the horizon" in line


def test_assumptions_of_a_collection_that_is_no_forecast_are_refused(tmp_path, capsys):
    command = ["collect", str(tmp_path / "table"), *COMMAND[2:], "--assumptions", "mine.yaml"]
    assert "--assumptions is of a forecast: add --dry_run" in refused(capsys, *command)
    assert not (tmp_path / "table").exists()


def test_one_hop_of_three_models_is_a_call_a_query_and_model(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*COMMAND, "--json"]) == 0
    forecast = json.loads(capsys.readouterr().out)
    assert forecast["queries"] == 24
    assert forecast["total"]["most"] == forecast["total"]["hops"] == 24 * 3
    assert main(COMMAND) == 0
    printed = capsys.readouterr().out
    assert "24 queries, 1 hops, every route: 72 hops from at most 72 calls" in " ".join(printed.split())
    assert [line.split()[:3] for line in printed.splitlines() if line.startswith("1 ")] == [
        ["1", name, "24"] for name in ("reader", "calculator", "speller")
    ]
    assert list(tmp_path.iterdir()) == []
