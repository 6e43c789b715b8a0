"""The ablation: how queries are parted, what a query that several splits test counts, and a run of it."""

import numpy as np
import pytest

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import save_table
from scripts import ablate
from tests.tables import random_table

TINY = LearnerStatic("exact", num_envs=8, num_updates=1, evaluate_every=1, epochs=1, minibatches=1, hidden=(4,))


def test_random_splits_part_all_queries_and_a_fifth_of_training_validates():
    table = random_table(queries=60)
    parts = ablate.partitions(table, 2, train=40)
    for whole, tested in parts:
        names = np.array([query.split for query in whole.queries])
        assert [(names == name).sum() for name in ("train", "validation", "test")] == [32, 8, 20]
        assert tested.tolist() == np.flatnonzero(names == "test").tolist()
        assert (whole.quality == table.quality).all()
    assert parts[0].tested.tolist() != parts[1].tested.tolist()
    ((own, tested),) = ablate.partitions(table, 0, train=40)
    assert own is table
    assert [table.queries[row].split for row in tested] == ["test"] * 20


def test_a_query_that_two_splits_test_is_one_by_hand():
    """Differences 1 and 0 on query 0, 1 on query 1: the mean of three tests is 2/3, and both queries weigh as much."""
    table = random_table(queries=3)
    parts = [ablate.Partition(table, np.array([0, 1])), ablate.Partition(table, np.array([0]))]
    found = ablate.row("new", [np.array([1.0, 1.0]), np.array([0.0])], [np.zeros(2), np.zeros(1)], parts, {"more": 7})
    assert found["difference"] == pytest.approx(2 / 3)
    assert found["ci"] == pytest.approx([2 / 3, 2 / 3])
    assert found["accuracy"] == 0.5
    assert found["more"] == 7


def test_it_runs_and_its_files_agree(tmp_path, monkeypatch, capsys):
    table = random_table(queries=45, models=2, horizon=1)
    save_table(table, tmp_path / "table")
    monkeypatch.setattr(ablate, "VARIANTS", {"tiny": (TINY, {"prior_caution": 0.5})})
    out = tmp_path / "ablate.json"
    ablate.main(tmp_path / "table", splits=0, features=4, seeds=2, variants=("tiny",), out=out)
    written = read_json(out)
    rows = {row["name"]: row for row in written["rows"]}
    assert (written["table"], written["configurations"]) == (table.fingerprint, 1)
    assert {"tiny", "oracle", "random", "best-single", "task-sequence", ablate.REFERENCE} <= set(rows)
    assert (rows[ablate.REFERENCE]["difference"], rows[ablate.REFERENCE]["ci"]) == (0.0, [0.0, 0.0])
    assert rows["oracle"]["accuracy"] == max(row["accuracy"] for row in rows.values())
    assert rows["tiny"]["updates kept"] in (0.0, 1.0)
    gained = rows["tiny"]["accuracy"] - rows[ablate.REFERENCE]["accuracy"]
    assert rows["tiny"]["difference"] == pytest.approx(gained)
    told = out.with_suffix(".md").read_text()
    assert f"| tiny | {rows['tiny']['accuracy']:.4f} |" in told
    assert told in capsys.readouterr().out
