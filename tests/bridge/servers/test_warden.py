"""The process that keeps a server ends it with all its children, whoever ends it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import openai._base_client
import psutil
import pytest

from hierrouter_jax.bridge.backends import load_backends
from hierrouter_jax.bridge.pool import PoolConfig
from hierrouter_jax.bridge.servers import Servers
from tests.bridge.servers.processes import alive, collect_command, ever, gone, member, pool_file, starts

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(openai._base_client, "INITIAL_RETRY_DELAY", 0.05)
    monkeypatch.setattr(openai._base_client, "MAX_RETRY_DELAY", 0.5)


def test_a_child_that_will_not_end_is_killed(tmp_path):
    with Servers(tmp_path) as servers:
        load_backends(PoolConfig((member(tmp_path, "--stubborn"),)), servers)[0].generate(["a"])
        (pids,) = starts(tmp_path)
    assert len(pids) == 2
    assert alive(pids) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGINT, marks=pytest.mark.extended),
        pytest.param(signal.SIGTERM, marks=pytest.mark.extended),
        pytest.param(signal.SIGHUP, marks=pytest.mark.extended),
    ],
)
def test_no_process_is_left_when_ours_is_killed(tmp_path, number):
    """The collection of a process of its own, in the middle of its calls; all that its server started goes, too."""
    pool_file(tmp_path, "--children", "--stubborn", "--seconds", "30")
    program = [sys.executable, "-m", "hierrouter_jax.cli.main", *collect_command(tmp_path)]
    process = subprocess.Popen(program, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not starts(tmp_path) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    (pids,) = starts(tmp_path)
    log = tmp_path / "table/servers/brief.log"
    while "listening" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    warden = psutil.Process(pids[0]).ppid()
    process.send_signal(number)
    process.communicate(timeout=60)
    assert gone([*pids, warden])


def test_a_killed_warden_takes_its_server_along_and_both_are_started_again(tmp_path):
    with Servers(tmp_path) as servers:
        (backend,) = load_backends(PoolConfig((member(tmp_path),)), servers)
        backend.generate(["a"])
        ((first,),) = starts(tmp_path)
        warden = psutil.Process(first).parent()
        assert warden is not None
        warden.kill()
        assert backend.generate(["b"])[0].text == "B"
        assert len(starts(tmp_path)) == 2
    assert alive(ever(tmp_path)) == []
