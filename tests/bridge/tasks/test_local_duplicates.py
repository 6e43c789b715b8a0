"""Duplicates inside the benchmarks' own test files."""

import pytest

from hierrouter_jax.bridge.tasks.config import load_task
from hierrouter_jax.bridge.tasks.source import read_items
from hierrouter_jax.outcomes.duplicates import find_duplicates


@pytest.mark.parametrize(("name", "pairs"), [("gsm8k", 0), ("mbpp", 25)])
def test_the_local_copies_hold_few(name, pairs, benchmarks):
    """MBPP asks for the volume of a cube, and of a cone; GSM8K's test file holds no near-duplicate."""
    items = read_items(load_task(name), "test", benchmarks)
    found = find_duplicates([item.item.content for item in items])
    assert pairs <= len(found.pairs) <= pairs + 10
