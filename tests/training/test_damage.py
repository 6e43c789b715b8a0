"""Whichever byte of a run's checkpoints, features, record or configuration changes: refused by name, or as before."""

import gc
import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from hierrouter_jax.config import to_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.training import steps as steps_module
from hierrouter_jax.training.checkpoints import RunCheckpoints, load_routers, read_train_config
from hierrouter_jax.training.run_folder import RunFolder
from hierrouter_jax.training.settings import TrainConfig
from hierrouter_jax.training.steps import Steps
from hierrouter_jax.training.train import train_routers
from tests.fuzz.engine import SECONDS, flips, while_time
from tests.tables import random_table
from tests.training.test_checkpoints import CONFIG

TABLE = random_table(queries=30, models=2, horizon=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of one learner, with what training writes into its folder."""
    folder = tmp_path_factory.mktemp("run")
    static = replace(CONFIG.static, num_updates=4)
    config: TrainConfig = replace(CONFIG, learners=("exact",), num_seeds=1, static=static)
    checkpoints = RunCheckpoints(folder, TABLE, config)
    RunFolder(folder).write_config({"train": to_dict(config)})
    with checkpoints:
        train_routers(TABLE, config, False, checkpoints)
    return folder


def values_of(run: Path) -> list:
    """All that is read of a run: its configuration, and its routers with their features and parameters."""
    config = json.dumps(str(read_train_config(run)))
    (router,) = load_routers(run, TABLE).values()
    state = [np.asarray(leaf).tolist() for leaf in jax.tree.leaves(router.state)]
    reduction = [getattr(router.features.reduction, name).tolist() for name in ("mean", "components", "scale")]
    return [config, state, reduction, router.features.cost_normaliser, router.features.tie_order]


@pytest.mark.fuzzed("checkpoints")
def test_a_flipped_byte_of_a_run_is_refused_or_changes_nothing(run):
    seen = {"refused": 0, "unchanged": 0}

    def once(number):
        count = 100 if SECONDS else 25
        for name, times in flips(run, lambda: values_of(run), np.random.default_rng(number), count).items():
            seen[name] += times

    while_time(once)
    print(seen)
    assert seen["refused"]


def test_of_a_damaged_checkpoint_nothing_is_logged_beside_the_sentence(run, caplog):
    """TensorStore reads all arrays at once: the failure of one is raised, the others were logged with tracebacks."""
    (step,) = {path.parent for path in run.rglob("manifest.ocdbt") if path.parent.name == "state"}
    path = step / "manifest.ocdbt"
    content = path.read_bytes()
    path.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
    try:
        with pytest.raises(InputError, match="is no checkpoint that can be read"):
            load_routers(run, TABLE)
    finally:
        path.write_bytes(content)
    gc.collect()  # what was never asked for its failure tells of it now
    assert not [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


def test_a_step_with_another_digest_is_refused(tmp_path, monkeypatch):
    """The planted fault: without the comparison, a step with other arrays than were saved is loaded."""
    tree = {"state": {"a": np.arange(3)}, "metrics": {"b": np.ones(2)}}
    monkeypatch.setattr(steps_module, "arrays_sum", lambda arrays: np.zeros(32, np.uint8))
    with Steps(tmp_path / "s", 0, writes=True) as steps:
        steps.save(1, tree, 1.0)
    with Steps(tmp_path / "s", 0) as steps:
        assert steps.load(1)["state"]["a"].tolist() == [0, 1, 2]
    monkeypatch.undo()
    with Steps(tmp_path / "s", 0) as steps, pytest.raises(InputError, match="s/1: is damaged"):
        steps.load(1)


def test_a_configuration_that_was_edited_is_refused(run):
    path = run / "config.yaml"
    whole = path.read_text()
    try:
        path.write_text(whole.replace("num_seeds: 1", "num_seeds: 2"))
        with pytest.raises(InputError, match=r"config\.yaml: is not the file"):
            read_train_config(run)
    finally:
        path.write_text(whole)
