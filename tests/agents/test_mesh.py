"""One learner over several devices and several processes computes what one device does; it lowers for accelerators."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.mesh import data_mesh, spread
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs.types import device_table
from tests.tables import random_table

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-5
EVERY = "ppo,all-actions,exact"


def start(arguments: list[str], devices: int) -> subprocess.Popen:
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "tests.agents.mesh_worker", *arguments]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def finish(*processes: subprocess.Popen) -> None:
    for process in processes:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors[-3000:]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, np.ndarray]:
    out = tmp_path_factory.mktemp("mesh") / "alone.npz"
    finish(start([str(out), EVERY, "1", "replicated"], 1))
    return dict(np.load(out))


def assert_same(alone: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> None:
    assert found
    for name, value in found.items():
        np.testing.assert_allclose(value, alone[name], atol=TOLERANCE, rtol=1e-4, err_msg=name)


def test_two_devices_compute_what_one_does(tmp_path):
    places = {name: tmp_path / f"{name}.npz" for name in ("one", "two")}
    finish(*(start([str(places[n]), "ppo", k, "replicated"], int(k)) for n, k in (("one", "1"), ("two", "2"))))
    assert_same(*(dict(np.load(place)) for place in places.values()))


@pytest.mark.extended
@pytest.mark.parametrize("where", ["replicated", "sharded"])
def test_eight_devices_compute_what_one_does(alone, tmp_path, where):
    finish(start([str(tmp_path / "eight.npz"), EVERY, "8", where], 8))
    assert_same(alone, dict(np.load(tmp_path / "eight.npz")))


@pytest.mark.extended
def test_two_processes_compute_what_one_does(alone, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    out = str(tmp_path / "two.npz")
    finish(*[start([out, "ppo", "2", "sharded", str(process), "2", address], 1) for process in range(2)])
    assert_same(alone, dict(np.load(out)))


@pytest.mark.parametrize("algorithm", ["ppo", "all-actions", "exact"])
def test_the_whole_run_lowers_for_cuda_and_tpu(algorithm):
    host = random_table(queries=8)
    table = device_table(host, host.context_embedding, 5.0)
    static = LearnerStatic(algorithm=algorithm, num_envs=16, num_updates=10, hidden=(8, 8), warm_start=1)
    run = jax.jit(lambda key, table, hyper: learner.train(key, table, table, static, hyper))
    shapes = jax.eval_shape(lambda: (jax.random.key(0), table, jax.tree.map(jax.numpy.asarray, LearnerHyper())))
    exported = jax.export.export(run, platforms=["cuda", "tpu"])(*shapes)
    assert exported.platforms == ("cuda", "tpu")


def test_more_devices_than_there_are_are_refused():
    with pytest.raises(ValueError, match="JAX sees"):
        data_mesh(jax.device_count() + 1)


def test_without_a_mesh_nothing_is_spread():
    rows = jax.numpy.arange(3)
    assert spread(rows) is rows
