"""The server process: from its settings to its end, in good order."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from hierrouter_jax.errors import InputError
from hierrouter_jax.serve.app import make_app
from hierrouter_jax.serve.router import Router
from hierrouter_jax.serve.settings import ServeConfig
from hierrouter_jax.serve.telemetry import log_to_stderr, say


def run_server(config: ServeConfig) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are then given time to end. SIGHUP reloads the policy.

    Raises:
      InputError: if policy, pool or key cannot be read, the pool is not the policy's, or the port is taken.
    """
    key = key_of(config)
    with Router.load(config.policy, config.pool, config.server_logs) as router, listening(config) as sock:
        log_to_stderr()
        server = Server(config, router, key)
        server.run([sock])


def key_of(config: ServeConfig) -> str | None:
    """The key that clients must send.

    Raises:
      InputError: if the variable that should hold it does not.
    """
    if config.key_env is None:
        return None
    key = os.environ.get(config.key_env, "").strip()
    if not key:
        raise InputError(f"key_env: the environment variable {config.key_env} holds no key")
    return key


@contextmanager
def listening(config: ServeConfig) -> Iterator[socket.socket]:
    """A socket at the server's address.

    Raises:
      InputError: if it is taken, or none of this machine's.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((config.host, config.port))
        except OSError as error:
            raise InputError(f"{config.host}:{config.port} cannot be listened at ({error.strerror})") from None
        yield sock


class Server(uvicorn.Server):
    """uvicorn, with signals of its own and the first line of the log.

    Args:
      config: settings of the server.
      router: policy, pool and encoder that it begins with.
      key: key that clients must send; None asks for none.
    """

    def __init__(self, config: ServeConfig, router: Router, key: str | None) -> None:
        self.app = make_app(config, router, key)
        options: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False}
        drain = max(1, round(config.drain_seconds))
        super().__init__(uvicorn.Config(self.app, timeout_graceful_shutdown=drain, lifespan="on", **options))
        self._settings, self._tasks = config, set[asyncio.Task]()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and say where."""
        await super().startup(sockets)
        if sockets and not self.should_exit:
            host, port = sockets[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            say("serving", url=f"http://{shown}:{port}/v1", policy=self.app.state.service.fingerprint)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let no further request through, and wait for those under way."""
        self.app.state.service.gate.closed = True
        say("ending", under_way=self.app.state.service.gate.under_way)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End in good order on SIGTERM and SIGINT, so that what was started here is stopped too; reload on SIGHUP."""
        loop = asyncio.get_running_loop()
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.handle_exit, number, None)
            loop.add_signal_handler(signal.SIGHUP, self._reload)
        except (ValueError, RuntimeError):  # not the main thread, where nobody sends signals
            pass
        yield

    def _reload(self) -> None:
        task = asyncio.ensure_future(self._try_reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try_reload(self) -> None:
        try:
            await self.app.state.service.reload()
        except InputError as error:
            say("not reloaded", reason=str(error))
