"""The verb `train` writes a run folder, reads its presets, and tracks a finished run."""

import pandas as pd
import pytest

from hierrouter_jax.cli.main import main
from hierrouter_jax.files import read_json
from tests.cli.small_run import SMALL
from tests.events import event_values, metric_values


def test_train_writes_the_run_folder(run):
    names = {path.name for path in (run / "run").iterdir()}
    assert {"config.yaml", "metrics.parquet", "checkpoints", "run.json"} <= names
    assert len(pd.read_parquet(run / "run" / "metrics.parquet")) == 2 * 2 * 10
    record = read_json(run / "run" / "run.json")
    assert {"command", "version", "seed", "seconds", "peak_rss_bytes", "machine"} <= set(record)


def test_a_finished_run_is_tracked_when_it_is_asked_for(run, capsys):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (extra track)")
    folder = run / "run"
    assert main(["train", str(run / "table"), "--out", str(folder), *SMALL, "--track", "tensorboard"]) == 0
    assert "nothing is trained" in capsys.readouterr().out
    metrics = pd.read_parquet(folder / "metrics.parquet")
    for learner, seed in (("ppo", 1), ("ppo+stop", 0)):
        assert event_values(folder / "tensorboard" / f"{learner}-seed-{seed}") == metric_values(metrics, learner, seed)


def test_a_config_file_and_an_override(run, tmp_path):
    (tmp_path / "train.yaml").write_text(
        "train: {num_seeds: 1, features: 4, learners: [ppo], static: {num_envs: 32, num_updates: 10}}\n"
    )
    out = tmp_path / "run"
    command = ["train", str(run / "table"), "--config", str(tmp_path / "train.yaml"), "--out", str(out)]
    assert main([*command, "--train.hyper.reward.hop_cost", "0.5"]) == 0
    import yaml

    resolved = yaml.safe_load((out / "config.yaml").read_text())["train"]
    assert resolved["hyper"]["reward"]["hop_cost"] == 0.5
    assert resolved["static"]["num_envs"] == 32
    assert resolved["learners"] == ["ppo"]
