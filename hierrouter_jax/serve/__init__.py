"""Serving: a router in Python, and behind a URL."""

from hierrouter_jax.moved import make_callable

make_callable(__name__)  # `hierrouter_jax.serve(config)` is the verb
