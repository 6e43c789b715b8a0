"""A process that keeps one server, and ends it with all its children when the process that asked for it is gone.

It is a program of its own, run by its path: `python warden.py PARENT PROGRAM ARGUMENT...`. Whoever starts it holds the
other end of its standard input and writes nothing there. The server ends when that end is closed, when the process
PARENT is gone (by SIGKILL, too, which runs no code of that process), or by a signal to the warden. The server's number
is the first line of standard output; what the server says goes to standard error.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

GRACE_SECONDS = 5.0  # between the request to end and the kill
_LOOK_SECONDS = 0.2
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main(parent: int, command: list[str]) -> int:
    """The server from its start to its end, with nothing of it left; returns its exit code, 128 + n after signal n."""
    end_signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda signum, _: end_signals.append(signum))
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # what the server's children leave behind is for this process to end
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=2, stderr=2, start_new_session=True, preexec_fn=_die_with_warden
        )
    except OSError as error:
        print(f"{command[0]} cannot be started ({error.strerror})", file=sys.stderr)
        return 127
    print(process.pid, flush=True)
    code: int | None = None
    while code is None and not end_signals and os.getppid() == parent and not _closed(sys.stdin.fileno()):
        code = _reaped(process.pid)
    ended = _end_all(process.pid)
    return next((one for one in (code, ended) if one is not None), 0)


def _die_with_warden() -> None:
    """In the server, before its program: a kill of the warden is one of the server."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _closed(descriptor: int) -> bool:
    """Whether the other end of a pipe is closed; waits for that, but not for long."""
    readable, _, _ = select.select([descriptor], [], [], _LOOK_SECONDS)
    return bool(readable) and not os.read(descriptor, 1)


def _reaped(server: int) -> int | None:
    """Clear ended children away; the exit code of the server, if it is one of them."""
    code = None
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == server:
                code = os.waitstatus_to_exitcode(status)
    return code if code is None or code >= 0 else 128 - code


def _end_all(server: int) -> int | None:
    """End the server's group and whatever else descends from it; the server's exit code, if it ended only now."""
    me, code = psutil.Process(), None
    _signal(me.children(recursive=True), signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while left := me.children(recursive=True):
        if time.monotonic() > deadline:
            _signal(left, signal.SIGKILL)
        ended = _reaped(server)
        code = ended if code is None else code
        time.sleep(0.02)
    return code


def _signal(processes: Iterable[psutil.Process], number: int) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
