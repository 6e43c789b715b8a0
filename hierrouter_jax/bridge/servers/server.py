"""One server that is started here: waited for, watched, started again when it ends by itself, stopped at the end."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, resolve_source
from hierrouter_jax.bridge.servers import warden
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import file_name

_LOOK_SECONDS = 0.1
_ANSWER_SECONDS = 5.0
_STOP_SECONDS = warden.GRACE_SECONDS + 5.0
_LONGEST_PAUSE = 5.0  # before a start that follows one which failed
_LAST_LINES, _LONGEST = 3, 400


class Server:
    """A server of this machine, for as long as this process lasts.

    It is started when it is first waited for. One that ends by itself is started again at the same port, but one that
    ends before it ever answered is not: its command is at fault.

    Args:
      name: name that messages use.
      command: program and arguments.
      address: address of its API, up to and with `/v1`.
      log: file that its output is added to.
      start_seconds: longest time until it answers.
      restarts: most starts after the first.

    Attributes:
      starts: how often it was started.
      downtime: seconds from its starts until it answered, all together.
      trouble: the sentence why it will not answer any more; None while it may.
    """

    def __init__(
        self, name: str, command: Sequence[str], address: str, log: Path, start_seconds: float, restarts: int
    ) -> None:
        self.name, self.address, self.log = name, address, log
        self.starts, self.downtime, self.trouble = 0, 0.0, None
        self._command, self._start_seconds, self._restarts = list(command), start_seconds, restarts
        self._serving, self._stopping, self._lock = threading.Event(), threading.Event(), threading.Lock()
        self._watch: threading.Thread | None = None
        self._served, self._log_start = False, 0

    def start(self) -> None:
        """Begin to start it, unless that was done; `wait` tells when it answers."""
        with self._lock:
            if self._watch is None and not self._stopping.is_set():
                self._watch = threading.Thread(target=self._keep_up, name=f"server {self.name}", daemon=True)
                self._watch.start()

    async def wait(self) -> str | None:
        """Start it if need be, and wait until it answers; None then, or else `trouble`."""
        self.start()
        while not self._serving.is_set() and not self._over:
            await asyncio.sleep(_LOOK_SECONDS)
        return self.trouble

    def stop(self) -> None:
        """End it, with everything that it started; it is not started again."""
        with self._lock:
            self._stopping.set()
            watch = self._watch
        if watch is not None:
            watch.join()

    @property
    def settled(self) -> bool:
        """Whether it answers now, or never will."""
        return self._serving.is_set() or self._over

    @property
    def _over(self) -> bool:
        return self.trouble is not None or self._stopping.is_set()

    def _keep_up(self) -> None:
        """Start it again and again, until it is stopped or given up."""
        pause = _LOOK_SECONDS
        try:
            while not self._stopping.wait(pause if self.starts else 0.0):
                self.starts += 1
                why, answered = self._live()
                pause = _LOOK_SECONDS if answered else min(2 * pause, _LONGEST_PAUSE)
                self._served = self._served or answered
                if not self._stopping.is_set() and (not self._served or self.starts > self._restarts):
                    again = f", its {self.starts - 1} restarts included" if self.starts > 1 else ""
                    self.trouble = f"server {self.name!r} {why}{again} ({self._last_words()})"
                    return
        except Exception as error:  # of this machine: no room for the log, no process more
            self.trouble = f"server {self.name!r} cannot be started ({error})"

    def _live(self) -> tuple[str, bool]:
        """One start, to its end: why it ended, and whether it answered before. Nothing of it is left then."""
        process, pid = self._spawn()
        try:
            began = time.monotonic()
            while (code := process.poll()) is None and not self._stopping.is_set():
                if not self._serving.is_set():
                    if time.monotonic() - began > self._start_seconds:
                        return f"does not answer within {self._start_seconds:g} seconds of its start", False
                    if answers(self.address) and process.poll() is None:
                        self.downtime += time.monotonic() - began
                        self._serving.set()
                self._stopping.wait(_LOOK_SECONDS)
            how = "was stopped" if code is None else _ended(code)
            return how if self._serving.is_set() else f"{how} before it answered", self._serving.is_set()
        finally:
            self._serving.clear()
            _end(process, pid)

    def _spawn(self) -> tuple[subprocess.Popen[bytes], int]:
        """The warden of a new server, and the number of the server's process group; 0 where it did not start."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        program = [sys.executable, "-P", warden.__file__, str(os.getpid()), *self._command]
        with self.log.open("ab") as log:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            log.write(f"--- {now}: start {self.starts}, {self.address}\n".encode())
            log.flush()
            self._log_start = log.tell()
            process = subprocess.Popen(
                program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        assert process.stdout is not None  # a pipe
        return process, int(process.stdout.readline() or 0)

    def _last_words(self) -> str:
        """The end of what it said since its last start, in one line."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode("utf-8", "replace").splitlines()
        words = " / ".join([" ".join(line.split()) for line in lines if line.strip()][-_LAST_LINES:])
        shown = words if len(words) <= _LONGEST else f"...{words[-_LONGEST:]}"
        return f"{self.log} ends with: {shown}" if shown else f"{self.log} holds nothing"


def _ended(code: int) -> str:
    """An exit code in words; above 128 it stands for a signal."""
    names = {number.value: number.name for number in signal.Signals}
    return f"was ended by {names[code - 128]}" if code - 128 in names else f"ended with exit code {code}"


def _end(process: subprocess.Popen[bytes], group: int) -> None:
    """Close the warden's input, which makes it end the server; kill both where it does not."""
    assert process.stdin is not None  # pipes
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
    if group and process.returncode < 0:  # the warden was killed, so nobody has ended what it kept
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def free_port() -> int:
    """A port of this machine that nobody listens at now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answers(address: str) -> bool:
    """Whether an OpenAI-compatible server is ready to be asked.

    `/health` decides, beside `/v1`, where the server has one; else its list of models does. One that is still loading
    its model refuses the connection, or answers with a status of 500 or more.
    """
    parts = urlsplit(address)
    status = _status(f"{parts.scheme}://{parts.netloc}/health")
    if status is None or status == 200 or status >= 500:
        return status == 200
    status = _status(f"{address.rstrip('/')}/models")
    return status is not None and status < 500 and status != 404


def _status(url: str) -> int | None:
    """The status that a page answers with; None where nothing answers."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=_ANSWER_SECONDS) as reply:
            return reply.status
    except HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return None


class Servers:
    """The servers of a pool's members, to be used in a `with` block: none is left after it.

    No server is left either when this process ends in another way, were it by SIGKILL. A server is started at the
    first call of a member, so that a run whose calls are all known already starts none.

    Args:
      folder: folder of the logs, `<member>.log`, by the first member that names a command.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._servers = folder, dict[tuple[str, ...], tuple[Server, int]]()
        self._lock = threading.Lock()

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop all of them, at once."""
        stops = [threading.Thread(target=server.stop) for server, _ in self._servers.values()]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join()

    def start(self) -> None:
        """Begin to start all of them, rather than each at its first call."""
        for server, _ in self._servers.values():
            server.start()

    @property
    def settled(self) -> bool:
        """Whether each of them answers now, or never will."""
        return all(server.settled for server, _ in self._servers.values())

    def serve(self, config: ModelConfig) -> tuple[Endpoint, Server]:
        """Where a member with a command answers in this run, and its server, not yet started.

        Raises:
          InputError: if its program or its source is not on this machine.
        """
        endpoint = config.endpoint
        assert endpoint is not None  # the member has a command
        where = resolve_source(config.source) if config.source else ""
        program, *arguments = (str(argument).replace("{source}", where) for argument in endpoint.command)
        path = shutil.which(os.path.expanduser(program))  # a Path would drop the ./ of ./serve.sh
        if path is None:
            raise InputError(f"model {config.name!r}: endpoint.command: {program!r} is no program on this machine")
        command = (path, *arguments)
        with self._lock:
            server, port = self._servers.get(command) or self._new(config.name, command, endpoint)
            self._servers[command] = server, port
        return endpoint.at(port, where), server

    def _new(self, name: str, command: tuple[str, ...], endpoint: Endpoint) -> tuple[Server, int]:
        port = free_port()
        filled = [argument.replace("{port}", str(port)) for argument in command]
        log = self._folder / f"{file_name(name)}.log"
        address = endpoint.address(port)
        return Server(name, filled, address, log, endpoint.start_seconds, endpoint.restarts), port
