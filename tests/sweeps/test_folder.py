"""A sweep that was stopped goes on; worker processes give the same members and never outlive their sweep."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import chex
import numpy as np
import pandas as pd
import psutil
import pytest

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.cli.main import main
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json, write_json
from hierrouter_jax.outcomes.store import save_table
from hierrouter_jax.sweeps.result import load_sweep
from hierrouter_jax.sweeps.sweep import train_many
from hierrouter_jax.sweeps.workers import WorkerError
from tests.compiling import compiled_quickly
from tests.sweeps.sweep_run import EXACT, HYPERS, TABLE, run
from tests.tables import random_table

__all__ = ["compiled_quickly"]

ROOT = Path(__file__).parents[2]
PATIENCE = 120


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "whole"
    return folder, run(layout="map", out=folder, seeds=[0, 1, 2])


def finished(folder: Path) -> dict[str, int]:
    """Chunks by their names, with the time when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "chunks").glob("[0-9]*.safetensors")}


def started(folder: Path, layout: str, seeds: int) -> subprocess.Popen:
    """A process in the middle of a long sweep, some members of which are finished."""
    command = [sys.executable, "-m", "tests.sweeps.sweep_run", str(folder), layout, str(seeds)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    waited_for(lambda: len(finished(folder)) > 2 or process.poll() is not None)
    assert process.poll() is None, process.stderr.read() if process.stderr else ""
    return process


def waited_for(condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_sweep_goes_on_and_trains_no_finished_member_again(tmp_path):
    cut = tmp_path / "cut"
    process = started(cut, "map", 10)
    process.kill()
    process.wait()
    (cut / "chunks" / ".000007.safetensors.torn.safetensors").write_bytes(b"half a chu")
    before = finished(cut)
    assert 2 < len(before) < 14
    assert not (cut / "sweep.parquet").exists()
    assert len(load_sweep(cut).frame) == 3 * len(before)
    whole = run(layout="map", out=cut, seeds=10)
    after = finished(cut)
    assert len(after) == 14
    assert {name: after[name] for name in before} == before
    pd.testing.assert_frame_equal(whole.frame, run(layout="map", seeds=10).frame, check_exact=True)
    pd.testing.assert_frame_equal(whole.frame, pd.read_parquet(cut / "sweep.parquet"), check_exact=True)
    assert read_json(cut / "sweep.json")["last_run"]["trained"] == 40 - 3 * len(before)


def test_a_finished_sweep_is_read_and_not_run_again(whole):
    folder, result = whole
    before = finished(folder)
    again, loaded = run(out=folder, seeds=[0, 1, 2]), load_sweep(folder)
    assert finished(folder) == before
    for other in (again, loaded):
        pd.testing.assert_frame_equal(other.frame, result.frame, check_exact=True)
        chex.assert_trees_all_equal(other.params(7), result.params(7))
        assert other.plan.statics == result.plan.statics
    assert loaded.layout == "map"


def test_a_folder_of_another_sweep_is_refused_naming_the_difference(whole, tmp_path):
    folder, _ = whole
    header = read_json(folder / "sweep.json")
    options = {"static": EXACT, "hypers": HYPERS, "seeds": [0, 1, 2], "features": 6, "out": folder}
    for other, message in (
        ({"seeds": [0, 1]}, "seeds is "),
        ({"features": 5}, "features is 6 there, but 5 here"),
        ({"split": "validation"}, "split is test there, but validation here"),
        ({"hypers": HYPERS.replace(clip=np.full(4, 0.3))}, "hypers.clip is 0.2 there, but 0.3 here"),
        ({"static": LearnerStatic(num_envs=64)}, "statics.0.algorithm is exact there, but ppo here"),
        ({"table": random_table(seed=1, queries=90)}, "table.fingerprint is "),
    ):
        with pytest.raises(InputError, match=message):
            train_many(**({"table": TABLE} | options | other))
    write_json(folder / "sweep.json", header | {"version": "0.0.9"})
    with pytest.raises(InputError, match=r"version is 0\.0\.9 there"):
        train_many(TABLE, **options)
    write_json(folder / "sweep.json", header)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty and holds no sweep"):
        train_many(TABLE, **(options | {"out": tmp_path}))
    with pytest.raises(InputError, match=r"sweep\.json: no such file"):
        load_sweep(tmp_path)


def test_a_damaged_chunk_is_named(tmp_path):
    run(layout="map", out=tmp_path / "sweep")
    path = tmp_path / "sweep" / "chunks" / "000003.safetensors"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=r"000003\.safetensors: not a finished chunk"):
        run(layout="map", out=tmp_path / "sweep")


def test_a_member_is_exported_as_a_policy(tmp_path, capsys):
    save_table(TABLE, tmp_path / "table")
    options = {"features": 6, "layout": "map", "chunk": 3, "out": tmp_path / "sweep", "progress": False}
    result = train_many(tmp_path / "table", EXACT, HYPERS, [3], **options)
    assert main(["export", str(tmp_path / "sweep"), str(tmp_path / "policy"), "--member", "2"]) == 0
    header = read_json(tmp_path / "policy" / "policy.json")
    assert header["provenance"]["member"] == 2
    assert header["provenance"]["seed"] == 3
    assert main(["export", str(tmp_path / "sweep"), str(tmp_path / "best")]) == 0
    assert read_json(tmp_path / "best" / "policy.json")["provenance"]["member"] == result.best_member
    assert main(["export", str(tmp_path / "sweep"), str(tmp_path / "none"), "--member", "9"]) == 2
    assert "member is 9, but the sweep's finished members are 0..3" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.extended
def test_worker_processes_train_the_same_members(whole):
    _, result = whole
    by_workers = run(layout="processes", seeds=[0, 1, 2])
    for member in range(len(result.plan)):
        chex.assert_trees_all_close(by_workers.params(member), result.params(member), atol=1e-5)
    pd.testing.assert_frame_equal(by_workers.frame, result.frame, atol=1e-4)


@pytest.mark.extended
def test_a_killed_worker_ends_the_sweep_in_one_error_and_it_goes_on(tmp_path):
    own = psutil.Process()
    before = set(own.children(recursive=True))

    def kill_one() -> None:
        waited_for(lambda: finished(tmp_path))
        workers = [child for child in own.children() if "spawn_main" in " ".join(child.cmdline())]
        workers[0].kill()

    killer = threading.Thread(target=kill_one)
    killer.start()
    with pytest.raises(WorkerError, match="a worker process died"):
        run(layout="processes", out=tmp_path, seeds=500)
    killer.join()
    assert len(load_sweep(tmp_path).frame) == 3 * len(finished(tmp_path)) >= 3
    waited_for(lambda: not {c for c in set(own.children(recursive=True)) - before if "spawn_main" in str(c.cmdline())})


@pytest.mark.extended
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_sweep_however_it_ends(tmp_path, how):
    process = started(tmp_path, "processes", 500)
    workers = [child for child in psutil.Process(process.pid).children() if "spawn_main" in str(child.cmdline())]
    assert workers
    if how == signal.SIGINT:
        os.killpg(process.pid, how)  # as a terminal does it
    else:
        process.kill()
    _, complaints = process.communicate(timeout=PATIENCE)
    waited_for(lambda: not any(worker.is_running() for worker in workers))
    if how == signal.SIGINT:
        assert complaints.strip().endswith("KeyboardInterrupt")
        assert complaints.count("Traceback") == 1
