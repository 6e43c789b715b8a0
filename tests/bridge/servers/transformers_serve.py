"""`transformers serve` as a process that tests start, watch and kill."""

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path


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

    def restart_after(self, answers: int) -> threading.Thread:
        """Kill it once it has given so many answers, and start it again; the thread that does so."""

        def kill_and_start() -> None:
            while self.answered < answers:
                time.sleep(0.01)
            self.kill()
            self.start()

        thread = threading.Thread(target=kill_and_start)
        thread.start()
        return thread
