"""Training that was interrupted, at any moment, ends as if it had not been; and goes on only with its own."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

from hierrouter_jax._version import __version__
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.cli.main import main
from hierrouter_jax.config import to_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import write_json, write_text
from hierrouter_jax.outcomes.store import save_table
from hierrouter_jax.sums import SUMS, read_sums
from hierrouter_jax.training import run_folder
from hierrouter_jax.training.checkpoints import RunCheckpoints, Steps, load_routers
from hierrouter_jax.training.settings import TrainConfig
from tests.tables import random_table

ROOT = Path(__file__).parent.parent.parent
KILLS = int(os.environ.get("HIERROUTER_KILLS", "8"))
CONFIG = TrainConfig(
    learners=("exact", "ppo+stop"),
    num_seeds=2,
    features=4,
    checkpoint_every=2,
    keep_every=10,
    static=LearnerStatic(
        num_envs=64, num_updates=40, epochs=1, minibatches=1, hidden=(16, 16), stage_size=4, evaluate_every=2
    ),
)
UPDATES = CONFIG.static.num_updates * len(CONFIG.learners)
TABLE = random_table(queries=30, models=2, horizon=2)
ANEW = "choose another folder, or --fresh to start anew"
# Compile fast, and only once for all processes.
ENVIRONMENT = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    save_table(TABLE, folder / "table")
    write_text(folder / "train.yaml", json.dumps({"train": to_dict(CONFIG)}))
    return folder


@pytest.fixture(scope="module")
def command(folder):
    return ["train", str(folder / "table"), "--config", str(folder / "train.yaml")]


@pytest.fixture(scope="module")
def killed(folder, command):
    """What `kill_chain` tells of the run `whole`, never interrupted, and of `broken`, killed twenty times."""
    environment = os.environ | ENVIRONMENT | {"JAX_COMPILATION_CACHE_DIR": str(folder / "xla")}
    chain = [str(folder / "whole"), str(folder / "broken"), str(KILLS), str(UPDATES), *command]
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.kill_chain", *chain],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def tree_equal(first, second) -> bool:
    """Bit for bit, dtypes too."""
    same = jax.tree.structure(first) == jax.tree.structure(second)
    leaves = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return same and all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in leaves)


def load(run: Path, name: str, step: int):
    with Steps(run / "checkpoints" / name, CONFIG.keep_every) as steps:
        return steps.load(step)


@pytest.mark.slow
def test_a_killed_run_goes_on_each_time(killed):
    found = killed["found"]
    assert len(found) == KILLS + 2
    assert found == sorted(found)
    assert len(set(found)) > KILLS / 4
    assert found[-1] == UPDATES


@pytest.mark.slow
def test_a_run_killed_twenty_times_ends_as_one_that_never_was(folder, killed):
    whole, broken = folder / "whole", folder / "broken"
    for name in ("metrics.parquet", "config.yaml", "checkpoints/identity.json", "checkpoints/features.safetensors"):
        assert (whole / name).read_bytes() == (broken / name).read_bytes(), name
    for learner in CONFIG.learners:
        kept = [sorted(path.name for path in (run / "checkpoints" / learner).iterdir()) for run in (whole, broken)]
        assert kept[0] == kept[1]
        for step in map(int, kept[0]):
            first, second = load(whole, learner, step), load(broken, learner, step)
            assert {"params", "best_params", "optimizer", "key", "update"} <= set(first["state"])
            assert tree_equal(first, second)


@pytest.mark.slow
def test_metrics_have_every_row_once_and_the_best_step_is_kept(folder, killed):
    metrics = pd.read_parquet(folder / "broken" / "metrics.parquet")
    assert len(metrics) == UPDATES * CONFIG.num_seeds
    assert not metrics.duplicated(["learner", "seed", "update"]).any()
    for name, rows in metrics.groupby("learner"):
        kept = {int(path.name) for path in (folder / "broken" / "checkpoints" / str(name)).iterdir()}
        best = rows.groupby("update").validation_return.max()
        assert {10, 20, 30, 40} <= kept <= {10, 20, 30, 40, *best.index[best == best.max()]}
        assert best[list(kept)].max() == best.max()


@pytest.mark.slow
def test_ctrl_c_says_what_is_kept_and_how_to_go_on(folder, killed):
    message = killed["message"]
    assert killed["code"] == 130
    assert message.startswith(f"hierrouter: interrupted; {folder / 'broken'} keeps exact at update ")
    assert sum(map(int, re.findall(r"at update (\d+)", message))) == killed["left"]
    assert message.endswith(" of 40, run the same command again to go on")


@pytest.mark.slow
def test_a_finished_run_is_not_trained_again(folder, killed, command, capsys):
    run = folder / "whole"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    assert main([*command, "--out", str(run)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{run}: finished already, nothing is trained; --fresh starts anew"
    assert [line.partition(":")[0] for line in said[1:]] == [*CONFIG.learners, "next"]
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_any_step_that_was_kept_can_be_exported(folder, killed, tmp_path, capsys):
    run, exact = folder / "broken", ["--learner", "exact", "--checkpoint"]
    for seed in (0, 1):
        assert main(["export", str(run), str(tmp_path / "policy"), *exact, "20", "--seed", str(seed)]) == 0
        kernel = load(run, "exact", 20)["state"]["params"]["params"]["logits"]["kernel"]
        bundle = PolicyBundle.load(tmp_path / "policy")
        np.testing.assert_array_equal(bundle.weights["logits/kernel"], kernel[seed])
        assert bundle.provenance["checkpoint"] == 20
    metrics = pd.read_parquet(run / "metrics.parquet").query("learner == 'exact' and update == 20")
    router = load_routers(run, TABLE, step=20, learners=["exact"])["exact"]
    assert router.chosen_seed == metrics.set_index("seed").validation_return.idxmax()
    capsys.readouterr()
    assert main(["export", str(run), str(tmp_path / "none"), *exact, "21"]) == 2
    assert re.search(r"step 21 was not kept; those that were: .*\b10, .*40$", capsys.readouterr().err.strip())


@pytest.mark.slow
def test_routers_of_an_unfinished_run_are_not_loaded_as_if_it_were_finished(folder, killed, tmp_path):
    shutil.copytree(folder / "whole", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "ppo+stop" / "40")
    with pytest.raises(InputError, match=r"ppo\+stop: training was interrupted before update 40"):
        load_routers(tmp_path / "run", TABLE)
    assert list(load_routers(tmp_path / "run", TABLE, step=30)) == list(CONFIG.learners)


def begin(run: Path, config: TrainConfig = CONFIG) -> None:
    """A run folder with one step of one learner."""
    with RunCheckpoints(run, TABLE, config), Steps(run / "checkpoints" / "exact", 0, writes=True) as steps:
        steps.save(2, {"a": np.ones(3)}, 0.5)


def with_learning_rate(value: float) -> TrainConfig:
    return replace(CONFIG, hyper=LearnerHyper(learning_rate=value))


def with_num_envs(value: int) -> TrainConfig:
    return replace(CONFIG, static=replace(CONFIG.static, num_envs=value))


def with_price(value: float):
    return replace(TABLE, pool=tuple(replace(member, price_in=value) for member in TABLE.pool))


def with_split(table, query: int, split: str):
    queries = list(table.queries)
    queries[query] = replace(queries[query], split=split)
    return replace(table, queries=tuple(queries))


@pytest.mark.parametrize(
    ("table", "config", "named"),
    [
        (TABLE, with_learning_rate(0.003), r"train\.hyper\.learning_rate is 0.001 there, but 0.003 here"),
        (TABLE, with_num_envs(32), r"train\.static\.num_envs is 64 there, but 32"),
        (TABLE, replace(CONFIG, learners=("exact",)), r"train\.learners is \['exact', 'ppo\+stop'\] there"),
        (TABLE, replace(CONFIG, keep_every=0), "train.keep_every is 10 there, but 0 here"),
        (replace(TABLE, quality=TABLE.quality / 2), CONFIG, r"table\.fingerprint is \w+ there, but \w+ here"),
        (with_price(1.0), CONFIG, r"table.pool\.m0\.price_in is 0\.1 there, but 1\.0 here"),
        (with_split(TABLE, 0, "test"), CONFIG, "table.splits.train is 10 there, but 9 here"),
        (with_split(with_split(TABLE, 0, "test"), 2, "train"), CONFIG, "table.splits.sha256 is"),
        (replace(TABLE, context_embedding=-TABLE.context_embedding), CONFIG, "table.embedding.sha256 is"),
    ],
)  # fmt: skip
def test_another_configuration_or_table_is_refused(table, config, named, tmp_path):
    begin(tmp_path)
    assert RunCheckpoints(tmp_path, TABLE, CONFIG).resumed == {"exact": 2}
    with pytest.raises(InputError, match=rf"^{tmp_path}: holds another training \({named}.*\); {ANEW}$"):
        RunCheckpoints(tmp_path, table, config)


def test_another_version_is_refused_first(tmp_path, monkeypatch):
    begin(tmp_path)
    monkeypatch.setattr(run_folder, "__version__", "9.9")
    with pytest.raises(InputError, match=f"version is {__version__} there, but 9.9 here"):
        RunCheckpoints(tmp_path, TABLE, with_learning_rate(0.003))


def test_the_command_line_refuses_in_one_line(folder, command, tmp_path, capsys):
    run = tmp_path / "run"
    begin(run)
    assert main([*command, "--out", str(run), "--train.hyper.learning_rate", "0.003"]) == 2
    assert capsys.readouterr().err == (
        f"hierrouter: error: {run}: holds another training (train.hyper.learning_rate is 0.001 there, but 0.003 here); "
        f"{ANEW}\n"
    )
    assert not (run / "config.yaml").exists()


def test_before_its_first_checkpoint_a_folder_is_anyones(tmp_path):
    RunCheckpoints(tmp_path, TABLE, CONFIG)
    begin(tmp_path, with_learning_rate(0.003))
    with pytest.raises(InputError, match=r"learning_rate is 0\.003 there, but 0\.001 here"):
        RunCheckpoints(tmp_path, TABLE, CONFIG)


def test_fresh_discards_what_was_there(tmp_path):
    begin(tmp_path)
    write_json(tmp_path / "run.json", {})
    write_json(tmp_path / "evaluation.json", {})
    assert RunCheckpoints(tmp_path, TABLE, with_learning_rate(0.003), fresh=True).resumed == {}
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoints", SUMS}
    assert set(read_sums(tmp_path)) == {"checkpoints/identity.json"}


def test_checkpoints_of_unknown_origin_are_refused(tmp_path):
    (tmp_path / "checkpoints" / "exact" / "2").mkdir(parents=True)
    with pytest.raises(InputError, match=r"checkpoints/identity\.json is missing"):
        RunCheckpoints(tmp_path, TABLE, CONFIG)


@pytest.mark.parametrize(
    ("keep_every", "values", "kept"),
    [(0, [0.2, 0.9, 0.5, 0.1], [2, 4]), (0, [0.1, 0.2, 0.9], [3]), (2, [0.2, 0.1, 0.9, 0.5, 0.4], [2, 3, 4, 5])],
)
def test_the_latest_and_the_best_step_are_kept(tmp_path, keep_every, values, kept):
    with Steps(tmp_path, keep_every, writes=True) as steps:
        for step, value in enumerate(values, start=1):
            steps.save(step, {"a": np.full(3, step)}, value)
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == kept
    with Steps(tmp_path, keep_every) as steps:
        assert steps.on_disk() == kept
        for step in kept:
            np.testing.assert_array_equal(steps.load(step)["a"], np.full(3, step))


@pytest.mark.parametrize("lost", ["_CHECKPOINT_METADATA", "state", "metrics"])
def test_a_step_that_a_killed_process_half_removed_is_gone(tmp_path, lost):
    with Steps(tmp_path, 0, writes=True) as steps:
        steps.save(2, {"a": np.ones(3)}, 0.5)
        steps.save(3, {"a": np.ones(3)}, 0.1)
    shutil.copytree(tmp_path / "2", tmp_path / "1")
    if (tmp_path / "1" / lost).is_dir():
        shutil.rmtree(tmp_path / "1" / lost)
    else:
        (tmp_path / "1" / lost).unlink()
    with Steps(tmp_path, 0) as steps:
        assert steps.on_disk() == [2, 3]
    with Steps(tmp_path, 0, writes=True):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3"]
