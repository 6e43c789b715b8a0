"""Servers of models that are started here: by a pool member's command, for as long as a run lasts."""

from hierrouter_jax.bridge.servers.server import Server, Servers

__all__ = ["Server", "Servers"]
