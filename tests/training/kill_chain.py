"""Trains one run without interruption, and another in process after process, each killed at some moment.

Run as `python -m tests.training.kill_chain WHOLE BROKEN KILLS UPDATES COMMAND...`, where COMMAND is `train` and its
options without `--out`; prints as JSON what `chain` returns. Processes are forked from one that has imported everything
and computed nothing, which saves each of them the seconds of importing.
"""

import gc
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from orbax.checkpoint import v1  # noqa: F401 (this and the next for the processes to come)

import hierrouter_jax.training.train  # noqa: F401
from hierrouter_jax.cli.main import main

PATIENCE = 200  # seconds
WINDOW = 0.06  # seconds, about what a block and its checkpoint take


def start(command: list[str], errors: Path) -> int:
    """A process that runs the command and exits with its code."""
    process = os.fork()
    if process == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # started in the background, it may be ignored
        with open(os.devnull, "w") as sys.stdout, open(errors, "w") as sys.stderr:
            code = main([*command])
        os._exit(code)
    return process


def updates_done(run: Path) -> int:
    """The latest steps on disk of all learners, added up."""
    folders = [folder for folder in (run / "checkpoints").glob("*") if folder.is_dir()]
    return sum(
        max((int(path.name) for path in folder.glob("*") if path.name.isdigit()), default=0) for folder in folders
    )


def await_progress(run: Path, process: int, done: int) -> None:
    """Wait until at least `done` updates are done.

    Raises:
      RuntimeError: if the process ends before, or takes too long.
    """
    started = time.perf_counter()
    while updates_done(run) < done:
        if os.waitpid(process, os.WNOHANG)[0] or time.perf_counter() - started > PATIENCE:
            raise RuntimeError(f"{run} stays below {done} updates")
        time.sleep(0.01)


def chain(whole: Path, broken: Path, kills: int, updates: int, command: list[str]) -> dict[str, Any]:
    """Train WHOLE; kill BROKEN again and again, interrupt it once in between as Ctrl-C does, and let it end.

    Every second kill comes while a process starts, the others soon after a new step, spread over the run.

    Args:
      updates: of all learners together.

    Returns:
      `found`, the updates that each process of the broken run found done, in the end all; and of the one that was
      interrupted its exit `code`, its `message` and the updates that it `left`.
    """
    rng, errors = random.Random(0), broken.with_suffix(".errors")
    again = [*command, "--out", str(broken)]
    _finish(start([*command, "--out", str(whole)], errors), errors)
    found, startup, told = [], 0.0, {}
    for kill in range(kills):
        found.append(updates_done(broken))
        due = updates * kill // (kills + 2)
        process, started = start(again, errors), time.perf_counter()
        if found[-1] > due or kill % 2:
            time.sleep(rng.uniform(0, startup))
        else:
            await_progress(broken, process, max(found[-1] + 1, due))
            startup = time.perf_counter() - started
            time.sleep(rng.uniform(0, WINDOW))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        if kill == kills // 4:
            told = _interrupt(start(again, errors), broken, errors)
    found.append(updates_done(broken))
    _finish(start(again, errors), errors)
    return {"found": [*found, updates_done(broken)], **told}


def _interrupt(process: int, broken: Path, errors: Path) -> dict[str, Any]:
    await_progress(broken, process, updates_done(broken) + 1)
    os.kill(process, signal.SIGINT)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return {"code": code, "message": errors.read_text().splitlines()[-1], "left": updates_done(broken)}


def _finish(process: int, errors: Path) -> None:
    if os.waitpid(process, 0)[1]:
        raise RuntimeError(errors.read_text())


if __name__ == "__main__":
    gc.disable()  # the processes are short
    print(json.dumps(chain(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])))
