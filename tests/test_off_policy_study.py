"""The study of estimates from logs: its worlds are the table's, and it goes on where it was cut off."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json, write_json
from hierrouter_jax.outcomes.exploration import Exploration
from hierrouter_jax.outcomes.store import save_table
from hierrouter_jax.studies.named_policy import named_policy
from hierrouter_jax.studies.off_policy.estimate import truth
from scripts import off_policy_study as study
from tests.studies.off_policy.logs import PART, TABLE, plan
from tests.tables import random_table


@pytest.fixture(scope="module")
def of():
    return study.world(PART, plan(), temperature=0.3, epsilon=0.3)


def test_the_target_has_its_exact_value(of):
    real = truth(PART, plan(), Exploration(), of.cost_weight)
    assert of.returns(of.greedy(of.logits)).mean() == pytest.approx(real["return"], rel=1e-5)


def test_a_log_is_weighed_where_its_decisions_were_made(of):
    """Weighed for the policy that served itself, no weight differs from 1."""
    (one,) = of.evidence("softmax", [of.served["softmax"]], 200, [0])
    assert one.same
    assert one.contributions((1.0, 0.0)).mean() == pytest.approx(one.episodes.quality.mean())


def test_named_policies_are_ever_worse(of):
    policies, returns = study.named_policies(of)
    assert len(policies) == len(returns) == 10
    assert returns[0] == pytest.approx(of.returns(of.greedy(of.logits)).mean())
    assert abs(returns[0] - returns - np.array(study.POINTS)).max() < 0.03  # of 40 queries
    assert returns[-1] < returns[0]


def test_it_goes_on_and_sums_up(tmp_path, capsys):
    save_table(TABLE, tmp_path / "table")
    plan().save(tmp_path / "plan")
    options = {"sizes": (300,), "temperature": 0.3, "out": tmp_path / "out"}
    study.main(tmp_path / "table", tmp_path / "plan", replications=2, selections=1, **options)
    first = (tmp_path / "out" / "softmax-300.jsonl").read_text()
    study.main(tmp_path / "table", tmp_path / "plan", replications=3, selections=2, **options)
    assert (tmp_path / "out" / "softmax-300.jsonl").read_text().startswith(first)
    result = read_json(tmp_path / "out" / "off_policy_study.json")
    assert result["choice"]["logs"] == 2
    cell = result["cells"]["epsilon-300"]
    assert (cell["replications"], cell["answered"]) == (3, 1.0)
    assert set(cell["rmse"]) == set(study.ESTIMATORS)
    assert 0 <= cell["coverage"] <= 1
    assert cell["width_bernstein"] > cell["width"]
    assert "softmax-300" in capsys.readouterr().out
    for name, there, here in (("seed", 0, 1), ("resamples", None, 50)):
        with pytest.raises(InputError, match=rf"another off-policy study \({name} is {there} there, but {here} here"):
            study.main(tmp_path / "table", tmp_path / "plan", **{name: here}, **options)
    save_table(random_table(seed=5, queries=120, horizon=2), tmp_path / "other")
    with pytest.raises(InputError, match="another off-policy study"):
        study.main(tmp_path / "other", tmp_path / "plan", **options)


def test_a_record_of_before_resamples_were_in_it_is_gone_on_with(tmp_path):
    save_table(TABLE, tmp_path / "table")
    plan().save(tmp_path / "plan")
    arguments = (tmp_path / "table", tmp_path / "plan", "train", (300,), 0, 0)
    study.main(*arguments, out=tmp_path / "out")
    record = read_json(tmp_path / "out" / "record.json")
    assert record.pop("resamples") is None
    write_json(tmp_path / "out" / "record.json", record)
    study.main(*arguments, out=tmp_path / "out")
    assert read_json(tmp_path / "out" / "record.json") == record


def test_resamples_add_a_bootstrap(of):
    row = study.replication(of, "softmax", 300, [0], 50)
    assert row["bootstrap"][0] < row["values"][study.DEFAULT] < row["bootstrap"][1]
    assert "bootstrap" not in study.replication(of, "softmax", 300, [0], 0)


def test_a_kill_loses_no_finished_replication(of, tmp_path, monkeypatch):
    """When one begins, those before it are in the file."""
    path = tmp_path / "softmax-300.jsonl"

    def replication(*arguments):
        return {"answers": True, "before": len(path.read_text().splitlines())}

    monkeypatch.setattr(study, "CELLS", ("softmax",))
    monkeypatch.setattr(study, "replication", replication)
    list(study.work(of, tmp_path, (300,), 3, 0, 0))
    assert [row["before"] for row in study.read_lines(path)] == [0, 1, 2]


def test_a_cell_that_never_answers_is_not_gone_on_with_but_summed_up(of, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "CELLS", ("wrong",))
    monkeypatch.setattr(study, "SILENT", 3)
    rows = '{"answers": false}\n' * 3
    (tmp_path / "wrong-300.jsonl").write_text(rows)
    assert list(study.work(of, tmp_path, (300,), 5, 0, 0)) == [tmp_path / "wrong-300.jsonl"]
    assert (tmp_path / "wrong-300.jsonl").read_text() == rows


def test_a_summary_by_hand():
    """Two logs: errors of .1 and -.1; one interval holds the truth, and one log is not answered."""
    names = study.ESTIMATORS
    row = {"interval": [0.4, 0.55], "bernstein": [0.0, 1.0], "effective": 60.0, "wrong": 9.0}
    rows = [
        {**row, "values": dict.fromkeys(names, 0.6), "answers": True},
        {**row, "values": dict.fromkeys(names, 0.4), "answers": False, "interval": [0.0, 0.1]},
    ]
    summary = study.summary(rows, truth=0.5, accuracy=0.5)
    assert summary["rmse"][study.DEFAULT] == pytest.approx(0.1)
    assert summary["bias"][study.DEFAULT] == pytest.approx(0.0)
    assert (summary["answered"], summary["coverage"], summary["coverage_bernstein"]) == (0.5, 1.0, 1.0)
    assert summary["width"] == pytest.approx(0.15)


@pytest.mark.extended
@pytest.mark.parametrize("cell", ["softmax", "epsilon", "uniform"])
def test_intervals_cover_and_the_default_is_a_good_choice(cell):
    """1,000 logs of 1,500 episodes on another table, its embeddings without any sense."""
    table = random_table(seed=9, queries=360, models=3, horizon=2)
    bundle = named_policy("predict-then-plan+stop", table)
    of = study.world(table.split("train"), bundle, 0.2, 0.3)
    rows = [study.replication(of, cell, 1500, [1, at], 0) for at in range(1000)]
    target = of.greedy(of.logits)
    accuracy = float(replace(of, cost_weight=0.0).returns(target).mean())
    summary = study.summary(rows, float(of.returns(target).mean()), accuracy)
    assert summary["answered"] == 1.0
    assert summary["coverage"] >= 0.93
    assert summary["coverage_bernstein"] >= 0.95
    assert summary["rmse"][study.DEFAULT] <= 1.5 * min(summary["rmse"].values())
