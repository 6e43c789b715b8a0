"""Programmed members, policies and endpoints for the tests of serving; see `tests/bridge/conftest.py`."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.serve.router import Router
from hierrouter_jax.serve.server import Server, listening
from hierrouter_jax.serve.settings import ServeConfig
from tests.bridge.conftest import backends, encoder, make_bundle, programmed, queries, server

__all__ = ["backends", "encoder", "make_bundle", "programmed", "queries", "server"]

HORIZON = 4


@dataclass
class Served:
    """A server on a thread of this process.

    Attributes:
      url: its address, without /v1.
      router: router that it began with, which answers here as it does there.
      server: the server itself.
    """

    url: str
    router: Router
    server: Server

    @property
    def service(self):
        return self.server.app.state.service


@contextmanager
def serving(router: Router, config: ServeConfig, key: str | None = None) -> Iterator[Served]:
    with listening(replace(config, port=0)) as sock:
        server = Server(config, router, key)
        thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        yield Served(f"http://127.0.0.1:{sock.getsockname()[1]}", router, server)
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def router(backends, make_bundle, encoder) -> Router:
    return Router(make_bundle([backend.price for backend in backends], HORIZON), backends, encoder, HopPrompt())


@pytest.fixture
def start(router, tmp_path) -> Iterator[Callable[..., Served]]:
    """Starts servers of the programmed pool, or another router's; each ends with the test."""
    with ExitStack() as stack:

        def begin(key: str | None = None, of: Router | None = None, **changes) -> Served:
            its = of or router
            its.bundle.save(tmp_path / "policy")
            config = ServeConfig(policy=Path(tmp_path / "policy"), **changes)
            return stack.enter_context(serving(its, config, key))

        yield begin
