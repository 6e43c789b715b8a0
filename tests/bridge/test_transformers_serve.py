"""The real thing: `transformers serve` with a real model, which is killed and restarted in mid-run."""

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from hierrouter_jax.bridge.backends import load_backends
from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, PoolConfig

PROMPTS = [f"{'ab? c' * (row % 7)}{row} and {row * row}\n" for row in range(40)]
LIMIT = 24


class Serve:
    """`transformers serve` on a free port of this machine."""

    def __init__(self, model: Path, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            self.port = free.getsockname()[1]
        program = str(Path(sys.executable).with_name("transformers"))
        self._command = [program, "serve", str(model), "--dtype", "float32", "--device", "cpu"]
        self._command += ["--port", str(self.port)]
        self._log = log
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            offline = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=offline)

    def wait(self) -> None:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"http://localhost:{self.port}/health", timeout=5):
                    return
            except OSError:
                assert self._process.poll() is None, self._log.read_text()
                time.sleep(0.2)
        raise AssertionError(self._log.read_text())

    @property
    def answered(self) -> int:
        return self._log.read_text().count('/v1/completions HTTP/1.1" 200')

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.mark.slow
@pytest.mark.skipif("HIERROUTER_SERVERS" not in os.environ, reason="starts a server twice: set HIERROUTER_SERVERS=1")
def test_a_killed_and_restarted_server_changes_nothing(model_folder, tmp_path):
    folder = model_folder()
    here = load_backends(PoolConfig((ModelConfig("here", str(folder), LIMIT, base_rate=1.0),)))[0].generate(PROMPTS)
    server = Serve(folder, tmp_path / "log")
    server.wait()

    def kill_and_restart() -> None:
        while server.answered < 8:
            time.sleep(0.01)
        server.kill()
        server.start()

    killer = threading.Thread(target=kill_and_restart)
    try:
        endpoint = Endpoint(f"http://localhost:{server.port}/v1", str(folder), concurrency=4, retries=40)
        there = ModelConfig("there", str(folder), LIMIT, base_rate=1.0, kind="openai", endpoint=endpoint)
        killer.start()
        answers = load_backends(PoolConfig((there,)))[0].generate(PROMPTS)
        killer.join()
        # 8 or more before the kill, and those that the dead server still had in hand once more
        assert len(PROMPTS) <= server.answered <= len(PROMPTS) + 4
    finally:
        server.kill()
    for answer, expected in zip(answers, here, strict=True):
        assert answer[1:3] == expected[1:3]
        # An end token of the random model is an ordinary character, which the server leaves in the text.
        assert answer.text[: len(expected.text)] == expected.text
