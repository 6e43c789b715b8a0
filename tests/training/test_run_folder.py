"""The run folder: its files, and what its checkpoints are of."""

import os
from dataclasses import replace

import pandas as pd
import pytest

from hierrouter_jax._version import __version__
from hierrouter_jax.claims import difference, table_identity
from hierrouter_jax.config import load_yaml
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json, write_json
from hierrouter_jax.training.run_folder import RunFolder, machine, training_identity, training_record
from hierrouter_jax.training.settings import TrainConfig
from tests.tables import random_table

TABLE = random_table(queries=6)


def test_a_folder_keeps_what_was_run_and_how_long_it_took(tmp_path, monkeypatch):
    run = RunFolder(tmp_path / "run")
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/hierrouter", "train", "tables/mine"])
    ticks = iter([1.0, 3.5, 10.0, 10.25])
    monkeypatch.setattr("hierrouter_jax.training.run_folder.time.perf_counter", lambda: next(ticks))
    for _ in range(2):
        with run.timed("train"):
            pass
    run.write_config({"b": 1, "a": 2})
    run.write_metrics(pd.DataFrame({"update": [1, 2]}))
    run.write_run(7, policies=3)
    assert list(load_yaml(run.path / "config.yaml").items()) == [("b", 1), ("a", 2)]
    assert pd.read_parquet(run.path / "metrics.parquet")["update"].tolist() == [1, 2]
    record = read_json(run.path / "run.json")
    assert (record["version"], record["seed"], record["policies"]) == (__version__, 7, 3)
    assert record["seconds"] == {"train": 2.75}
    assert record["command"].startswith("hierrouter ")
    assert record["peak_rss_bytes"] > 10_000_000
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file, but a run needs a folder"):
        RunFolder(tmp_path / "file")


def test_the_machine_is_described():
    described = machine()
    assert described["cores"] == os.cpu_count()
    assert described["cpu"]
    assert described["device"] == "cpu"


def test_all_that_training_depends_on_is_its_identity(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("def update(): ...\ndef term(): ...\n")
    config = TrainConfig((f"{own}:update+stop", "exact"), seed=3)
    identity = training_identity(TABLE, config)
    assert list(identity) == ["version", "train", "sources", "table"]
    assert identity["train"]["seed"] == 3
    assert list(identity["sources"]) == [f"{own}:update"]
    assert identity["table"] == table_identity(TABLE)
    own.write_text("def update(): return 1\n")
    changed = difference(identity, training_identity(TABLE, config))
    assert changed == f"the file of {own}:update is not what it was there"
    other = difference(identity, identity | {"train": training_identity(TABLE, replace(config, seed=4))["train"]})
    assert other == "train.seed is 3 there, but 4 here"


def test_a_folders_record_counts_from_the_first_checkpoint_on(tmp_path):
    write_json(tmp_path / "identity.json", {"version": "1"})
    assert training_record(tmp_path) is None
    (tmp_path / "exact" / "2").mkdir(parents=True)
    assert training_record(tmp_path) == {"version": "1"}
    (tmp_path / "identity.json").unlink()
    assert training_record(tmp_path) == {}
