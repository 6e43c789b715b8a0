"""What lies beside a page: every number of it, under a link of it."""

import json

import pandas as pd
import pytest

from tests.report.page_reader import Page, policy_row


def test_every_number_lies_beside_the_page(run, html, numbers):
    linked = Page(html).linked
    assert all((run / link).is_file() for link in linked)
    assert {f"data/{path.name}" for path in (run / "data").iterdir()} | {"report.json"} <= set(linked)
    tables = json.loads((run / "report.json").read_text())["tables"]
    for written in (pd.read_csv(run / "data" / "policies.csv"), pd.DataFrame(tables["policies"])):
        frame = written.set_index("name")
        for row in numbers["policies"]:
            for field in ("accuracy", "cost", "hops", "repaired", "damaged", "return", "oracle_gap_recovered"):
                assert frame.loc[row["name"], field] == pytest.approx(row[field], rel=1e-12)
            assert frame.loc[row["name"], "accuracy_ci_low"] == row["accuracy_ci"][0]
    per_task = pd.read_csv(run / "data" / "per_task.csv").set_index(["policy", "task"])
    assert (
        per_task.loc[("ppo", "fact-to-words"), "accuracy"]
        == policy_row(numbers, "ppo")["per_task"]["fact-to-words"]["accuracy"]
    )
    routes = pd.read_csv(run / "data" / "routes.csv")
    assert routes.groupby(["policy", "task"])["share"].sum().to_numpy() == pytest.approx(1, abs=0.011)
    compared = pd.read_csv(run / "data" / "comparisons.csv")
    assert compared["difference"].tolist() == [row["difference"] for row in numbers["comparisons"]]
