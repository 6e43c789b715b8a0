"""Settings that all tests share."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import pytest
from hypothesis import settings

# Tests compile much and compute little: few optimisations halve the time. Processes that they start are not affected.
jax.config.update("jax_disable_most_optimizations", True)
settings.register_profile("default", deadline=None, max_examples=15, derandomize=True)
settings.load_profile("default")


@pytest.hookimpl(trylast=True)  # of the tests that -k and -m leave
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each law of tests/fuzz its share of the time of its kind."""
    from tests.fuzz.engine import SECONDS, SHARES, shares

    marks = {item.nodeid: item.get_closest_marker("fuzzed") for item in items}
    SHARES.update(shares({law: mark.args[0] for law, mark in marks.items() if mark}, SECONDS))
