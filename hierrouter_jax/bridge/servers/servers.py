"""All servers of a run: one for each command, however many members of the pool share it."""

import shutil
import threading
from pathlib import Path
from types import TracebackType

from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, resolve_source
from hierrouter_jax.bridge.servers.server import Server, free_port
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import file_name


class Servers:
    """The servers of a pool's members, to be used in a `with` block: none is left after it.

    No server is left either when this process ends in another way, were it by SIGKILL. A server is started at the
    first call of a member, so that a run whose calls are all known already starts none.

    Args:
      folder: of the logs, `<member>.log`, by the first member that names a command.
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

    def serve(self, config: ModelConfig) -> tuple[Endpoint, Server]:
        """Where a member with a command answers in this run, and its server, not yet started.

        Raises:
          InputError: if its program or its source is not on this machine.
        """
        endpoint = config.endpoint
        assert endpoint is not None  # the member has a command
        where = resolve_source(config.source) if config.source else ""
        program, *arguments = (str(argument).replace("{source}", where) for argument in endpoint.command)
        found = shutil.which(str(Path(program).expanduser()))
        if found is None:
            raise InputError(f"model {config.name!r}: endpoint.command: {program!r} is no program on this machine")
        command = (found, *arguments)
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
