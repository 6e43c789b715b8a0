"""The verb `inspect`: a table, a query of it, and what each view takes."""

import json

from hierrouter_jax.cli.main import main
from hierrouter_jax.outcomes.store import load_table
from tests.cli.small_run import refused


def test_inspect_shows_the_table_and_one_query(run, capsys):
    assert main(["inspect", str(run / "table"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert [member["name"] for member in summary["pool"]] == ["m0", "m1", "m2"]
    assert main(["inspect", str(run / "table")]) == 0
    assert "m1" in capsys.readouterr().out
    assert main(["inspect", str(run / "table"), "--query", "q3"]) == 0
    assert capsys.readouterr().out.count("r3.") == 39
    assert main(["inspect", str(run / "table"), "--query", "q3", "--json"]) == 0
    query, table = json.loads(capsys.readouterr().out), load_table(run / "table")
    assert (query["query"], query["text"], query["gold"]) == ("q3", table.queries[3].text, table.queries[3].gold)
    assert len(query["hops"]) == 39
    last = query["hops"][-1]
    assert last["route"] == ["m2", "m2", "m2"]
    assert last["response"] == table.response[3, 39]
    assert (last["quality"], last["cost"]) == (table.quality[3, 39], table.cost[3, 39])


def test_inspect_refuses_what_belongs_to_another_view(run, capsys):
    table = str(run / "table")
    assert "the following arguments are required: table" in refused(capsys, "inspect")
    assert "--shots is of the view of --task, not of a table" in refused(capsys, "inspect", table, "--shots", "2")
    assert "--query is of the view of a table, not of --mix" in refused(capsys, "inspect", "--mix", "m", "--query", "q")
    assert "--task and --mix are views of inspect" in refused(capsys, "inspect", "--task", "arc", "--mix", "m.yaml")
