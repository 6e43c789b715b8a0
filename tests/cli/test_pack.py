"""Shipped tables on the command line: the list, the packing, and a name where a verb takes a folder."""

import json
import os
from dataclasses import replace

import pytest

from hierrouter_jax.cli.main import main
from hierrouter_jax.config import load_yaml
from hierrouter_jax.files import read_json
from hierrouter_jax.outcomes import shipped
from hierrouter_jax.outcomes.store import EXTERNAL, save_table
from hierrouter_jax.sweeps.result import load_sweep
from tests.tables import random_table

FEW = ["--train.static.num_updates", "5", "--train.num_seeds", "1", "--train.features", "4"]


@pytest.fixture
def box(tmp_path, monkeypatch):
    """One table with two encoders and external models, packed by the verb into the package."""
    monkeypatch.setattr(shipped, "TABLES", tmp_path / "package")
    monkeypatch.setattr("hierrouter_jax.cli.tables.TABLES", tmp_path / "package")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for size in (8, 12):
        table = random_table(queries=30, horizon=2, embedding=size)
        verdicts = dict.fromkeys(("extracted", "reason"), table.details["finish_reason"])
        save_table(replace(table, details={**table.details, **verdicts}), tmp_path / f"plain{size}")
        save_table(random_table(queries=30, models=1, horizon=1, embedding=size), tmp_path / f"plain{size}" / EXTERNAL)
    plain = [str(tmp_path / name) for name in ("plain8", "plain12")]
    out = str(tmp_path / "package" / "small")
    assert main(["pack", *plain, "--out", out, "--encoders", "[eight, twelve]", "--licence", "MIT"]) == 0
    return tmp_path


def test_the_list(box, capsys):
    capsys.readouterr()
    assert main(["tables"]) == 0
    said = capsys.readouterr().out
    for part in ("small", "30 (task0 15, task1 15)", "m0, m1, m2", "small@eight, small@twelve", "MIT", "README.md"):
        assert part in said
    assert main(["tables", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["tables"]
    assert (told["name"], told["queries"], told["encoders"], told["external"]) == (
        "small",
        30,
        ["eight", "twelve"],
        ["m0"],
    )


def test_an_empty_list(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shipped, "TABLES", tmp_path / "none")
    assert main(["tables"]) == 0
    assert "no table ships with this version" in capsys.readouterr().out
    assert main(["tables", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"tables": []}


def test_what_packing_says(box, capsys):
    capsys.readouterr()
    out = box / "again"
    assert main(["pack", str(box / "plain8"), "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bytes"] == sum(told["files"].values()) == sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    assert main(["pack", "smal", "--out", str(out)]) == 2
    assert "did you mean small?" in capsys.readouterr().err
    assert main(["pack", str(box / "plain8"), "--out", str(out)]) == 0
    assert "next: write" in capsys.readouterr().out


def test_a_run_on_a_name_goes_on_from_any_folder(box, capsys):
    """The run records the name, so that evaluate finds table and external models from elsewhere."""
    assert main(["train", "small@twelve", "--out", str(box / "run"), "--train.learners", "[exact+stop]", *FEW]) == 0
    assert load_yaml(box / "run" / "config.yaml")["table"] == "small@twelve"
    os.chdir(box)
    assert main(["evaluate", str(box / "run")]) == 0
    kinds = {row["kind"] for row in read_json(box / "run" / "evaluation.json")["policies"]}
    assert {"learned", "external"} <= kinds
    capsys.readouterr()
    assert main(["evaluate", str(box / "run"), "--table", "small@eight"]) == 2  # of another size than was trained on
    assert (
        main(["export", str(box / "run"), str(box / "policy"), "--learner", "exact+stop", "--table", "small@twelve"])
        == 0
    )


@pytest.mark.parametrize(
    "command",
    [
        ["inspect", "small"],
        ["inspect", "small@twelve", "--query", "q1"],
        ["inspect", "--task", "task0", "--table", "small@eight"],
        ["worth", "small@eight"],
        ["inspect", "small", "--json"],
    ],
)
def test_verbs_that_only_read_take_a_name(box, command):
    assert main(command) == 0


@pytest.mark.parametrize("command", [["inspect", "smal"], ["worth", "small@eigth"], ["train", "smalll"]])
def test_a_mistyped_name_is_put_right(box, command, capsys):
    assert main(command) == 2
    assert "did you mean" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.extended
def test_a_sweep_on_a_name_keeps_it(box):
    options = ["--seeds", "1", "--train.features", "4", "--train.static.num_updates", "5"]
    assert main(["sweep", "small", "learning_rate=0.001,0.01", "--out", str(box / "sweep"), *options]) == 0
    os.chdir(box)
    assert load_sweep(box / "sweep").table is not None
