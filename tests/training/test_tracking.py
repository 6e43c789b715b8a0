"""What trackers are told, read back with their own readers, is what metrics.parquet holds; each value once."""

import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hierrouter_jax.config import to_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import file_name
from hierrouter_jax.learner_config import LearnerStatic
from hierrouter_jax.training import tracking
from hierrouter_jax.training.settings import TrainConfig
from hierrouter_jax.training.tracking import tracked
from hierrouter_jax.training.train import block_rows
from tests.events import event_values, metric_values

needs_tensorboard, needs_wandb, needs_mlflow = (
    pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed (extra track)")
    for name in ("tensorboard", "wandb", "mlflow")
)
LEARNER = "my/learner.py:reinforce+stop"


def rows(block: int) -> pd.DataFrame:
    """A block of two seeds and three updates."""
    rng = np.random.default_rng(block)
    metrics = {"train_return": rng.random((2, 3)), "entropy": rng.random((2, 3))}
    validation = {f"validation_{name}": rng.random(2) for name in ("return", "accuracy", "cost")}
    measured = {name: array.astype(np.float32) for name, array in (metrics | validation).items()}
    return block_rows(LEARNER, block, measured, 12)


def track(name: str, folder: Path) -> pd.DataFrame:
    """Two blocks, an interruption, and the same two again with a third; returns what metrics.parquet would hold."""
    config = to_dict(TrainConfig((LEARNER,), num_seeds=2, seed=20, static=LearnerStatic(num_envs=4, minibatches=1)))
    for blocks in (2, 3):
        with tracked(name, folder, config) as tracking:
            tracking.begin(LEARNER, (20, 21))
            for block in range(blocks):
                tracking.log(rows(block))
    return pd.concat([rows(block) for block in range(3)], ignore_index=True)


@needs_tensorboard
def test_event_files_hold_every_value_once(tmp_path):
    metrics = track("tensorboard", tmp_path)
    for seed in (0, 1):
        found = event_values(tmp_path / "tensorboard" / f"{file_name(LEARNER)}-seed-{seed}")
        assert found == metric_values(metrics, LEARNER, seed)


@needs_wandb
def test_wandb_is_offline_and_holds_every_step_once(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    metrics = track("wandb", tmp_path)
    files = list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert len(files) == 2
    for path in files:
        records = wandb_records(path)
        (name,) = {record.run.display_name for record in records if record.WhichOneof("record_type") == "run"}
        found = []
        for record in records:
            values = {item.key or item.nested_key[0]: float(item.value_json) for item in record.history.item}
            found += [(key, int(values["_step"]), value) for key, value in values.items() if key[0] != "_"]
        assert sorted(found) == metric_values(metrics, LEARNER, int(name[-1]))


def wandb_records(path: Path) -> list:
    """The records of a .wandb file: protocol buffers in LevelDB's log format, after seven bytes of W&B's own."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, parts, records = path.read_bytes(), 7, [], []
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:  # no room for a header: padding up to the next block
            at += left
            continue
        size, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        parts.append(data[at + 7 : at + 7 + size])
        at += 7 + size
        if kind in (1, 4):  # a whole record, or the last part of one
            records.append(Record.FromString(b"".join(parts)))
            parts = []
    return records


@needs_mlflow
def test_mlflow_holds_every_value_once(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    metrics = track("mlflow", tmp_path)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("hierrouter")
    runs = sorted(client.search_runs([experiment.experiment_id]), key=lambda run: run.data.params["seed"])
    assert [run.data.params["seed"] for run in runs] == ["20", "21"]
    assert runs[0].data.params["static.num_envs"] == "4"
    for seed, run in enumerate(runs):
        history = [(name, client.get_metric_history(run.info.run_id, name)) for name in run.data.metrics]
        assert sorted((name, one.step, one.value) for name, several in history for one in several) == metric_values(
            metrics, LEARNER, seed
        )


def test_an_unknown_or_missing_tracker_is_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="'tensorbord' is unknown; did you mean tensorboard"):
        tracking.Tracking("tensorbord", tmp_path, {})

    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(tracking, "import_module", absent)
    with pytest.raises(InputError, match=r"wandb is not installed; pip install 'hierrouter_jax\[track\]'"):
        tracking.Tracking("wandb", tmp_path, {})


class Client:
    """A tracker whose client fails at one of its steps; `calls` tells what was asked of all of them."""

    fails, after, calls, configs = "", 0, [], {}

    def _do(self, step: str) -> None:
        self.calls.append(step)
        if step == self.fails and self.calls.count(step) > self.after:
            raise ConnectionError("the server\nis away")

    def start(self, folder, run, config):
        self._do("start")
        self.configs[run] = config

    def log(self, row, step):
        self._do("log")

    def finish(self):
        self._do("finish")


@pytest.fixture
def client(monkeypatch):
    def make(fails: str, after: int = 0) -> list[str]:
        calls: list[str] = []
        for name, value in (("fails", fails), ("after", after), ("calls", calls), ("configs", {})):
            monkeypatch.setattr(Client, name, value)
        monkeypatch.setattr(tracking, "TRACKERS", {**tracking.TRACKERS, "mlflow": Client})
        real = tracking._package
        monkeypatch.setattr(tracking, "_package", lambda module, name: None if "mlflow" in name else real(module, name))
        return calls

    return make


def test_a_tracked_run_has_its_own_seed_and_is_named_by_the_seeds_position(tmp_path, client):
    client("")
    track("mlflow", tmp_path)
    name = file_name(LEARNER)
    seeds = {run: config["seed"] for run, config in Client.configs.items()}
    assert seeds == {f"{name}-seed-0": 20, f"{name}-seed-1": 21}
    assert {config["learner"] for config in Client.configs.values()} == {LEARNER}
    assert {config["static"]["num_envs"] for config in Client.configs.values()} == {4}


@pytest.mark.parametrize("after", [0, 1])
def test_a_tracker_that_does_not_start_stops_the_command_before_training(tmp_path, client, after):
    """The first seed's client starts or not: whichever did is finished, and nothing else is asked of it."""
    calls = client("start", after)
    with (
        pytest.raises(InputError, match=r"track: mlflow does not start \(the server is away\); .* --track") as caught,
        tracked("mlflow", tmp_path, {}) as going,
    ):
        going.begin(LEARNER, (0, 1))
    assert "\n" not in str(caught.value)
    assert calls == ["start"] * (after + 1) + ["finish"] * after


@pytest.mark.parametrize(
    ("fails", "after"),
    [("log", 0), ("log", 3), ("log", 6), ("finish", 0), ("finish", 1), ("start", 2), ("start", 3)],
)
def test_a_tracker_that_fails_later_is_given_up_and_training_goes_on(tmp_path, client, capsys, fails, after):
    """Two learners of two seeds; TensorBoard beside it keeps all of both."""
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (extra track)")
    calls = client(fails, after)
    with tracked("mlflow, tensorboard", tmp_path, {}) as going:
        for learner in (LEARNER, "ppo"):
            going.begin(learner, (0, 1))
            going.log(rows(0).assign(learner=learner))
    said = capsys.readouterr().err.splitlines()
    assert said == ["track: mlflow is given up (the server is away); metrics.parquet is written anyway"]
    assert calls[calls.index(fails) :].count(fails) == after + 1, "it is asked once more after it failed"
    for learner in (LEARNER, "ppo"):
        for seed in (0, 1):
            found = event_values(tmp_path / "tensorboard" / f"{file_name(learner)}-seed-{seed}")
            assert found == metric_values(rows(0).assign(learner=learner), learner, seed)
