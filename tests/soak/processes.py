"""Processes that run a command of the package, and what becomes of them."""

import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from hierrouter_jax.cli.main import main
from tests.soak.jobs import ENVIRONMENT


def started(command: list[str], errors: Path, before: Any = None) -> int:
    """A process that runs a command of the package and exits with its code."""
    process = os.fork()
    if process == 0:
        code = 70
        try:
            os.environ.update(ENVIRONMENT)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with open(os.devnull, "w") as sys.stdout, open(errors, "w") as sys.stderr:
                if before is not None:
                    before()
                try:
                    code = main([*command])
                except BaseException:
                    traceback.print_exc()
        finally:
            os._exit(code)
    return process


def ended(process: int, seconds: float) -> int | None:
    """The exit code of a process that ends within some seconds; None where it runs on."""
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.002)


def killed(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def holds(lock: Path, process: int) -> bool:
    """Whether a process says in a folder's lock that it writes there."""
    with suppress(OSError):
        return lock.read_text().startswith(f"process {process} ")
    return False


def over(process: int) -> bool:
    """Whether a process has ended, which is left for others to ask."""
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
