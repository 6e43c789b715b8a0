"""The ablation: how queries are parted, what a query that several splits test counts, and a run of it."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.evaluation.paired import Repeats
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes.store import save_table
from scripts import ablate
from tests.tables import random_table

TINY = LearnerStatic("exact", num_envs=8, num_updates=1, evaluate_every=1, epochs=1, minibatches=1, hidden=(4,))


def with_texts(table, *texts: str):
    queries = zip(table.queries, texts, strict=True)
    return replace(table, queries=tuple(replace(query, text=text) for query, text in queries))


def test_random_splits_part_all_queries_but_no_duplicates_and_a_fifth_of_training_validates():
    """Every question of the first half is asked again in the second, in the same words."""
    table = with_texts(random_table(queries=60), *(f"text {row % 30}" for row in range(60)))
    drawn, group = ablate.parted(table, 2, train=40)
    for split in drawn:
        assert [len(rows) for rows in split] == [32, 8, 20]
        assert sorted(np.concatenate(split)) == list(range(60))
        assert sum(len(np.unique(group[rows])) for rows in split) == len(np.unique(group)) == 30
    assert drawn[0].test.tolist() != drawn[1].test.tolist()


def test_the_tables_own_split_leaves_out_what_repeats_a_test_query_by_hand():
    table = with_texts(random_table(queries=9), *(f"text {2 if row == 3 else row}" for row in range(9)))
    (own,), group = ablate.parted(table, 0, train=40)
    assert [rows.tolist() for rows in own] == [[0, 6], [1, 4, 7], [2, 5, 8]]
    assert group[2] == group[3]


def test_every_split_counts_the_same_by_hand():
    """One split tests two queries, 1 better each, another one of them, no better: the mean of 1 and 0; what is not
    tested is ignored."""
    repeats = Repeats(np.array([[True, True, False], [True, False, False]]), np.arange(3))
    quality, reference = np.array([[1.0, 1.0, 0.0], [0.5, 0.0, 0.0]]), np.array([[0.0, 0.0, 9.0], [0.5, 9.0, 9.0]])
    row = ablate.row("new", quality, reference, repeats, {"more": 7})
    assert (row["difference"], row["accuracy"], row["more"]) == (0.5, 0.75, 7)
    assert row["ci"][0] < 0.5 < row["ci"][1]


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
