"""A pool that takes its time, and a run of its collection that keeps how long the calls took."""

import time
from pathlib import Path

from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import Calls, Collection
from hierrouter_jax.bridge.collect.summary import Timing
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.store import save_table
from hierrouter_jax.outcomes.table import Query
from tests.bridge.conftest import ProgrammedBackend

SECONDS = 0.02
PLAIN = HopPrompt()


class Sleepy(ProgrammedBackend):
    """Takes 20 ms a call."""

    downtime = 0.0

    def generate(self, prompts):
        answers = super().generate(prompts)
        time.sleep(SECONDS * len(prompts))
        return answers


def pool(*names: str) -> list[Sleepy]:
    return [Sleepy(name, lambda prompt, name=name: f"{name}{len(prompt)}") for name in names]


def collected(
    folder: Path, backends, queries: int = 4, batch_size: int = 2, horizon: int = 2, prompt: HopPrompt = PLAIN
):
    """One run of a collection, saved."""
    asked = [Query(f"q{row}", f"{'word ' * row}{row}", "task", "a", "test") for row in range(queries)]
    cache = CallCache(folder / "calls.sqlite")
    made = Collection(
        asked,
        backends,
        HopTree(len(backends), horizon),
        NGramEncoder(size=8),
        prompt,
        one_by_one(exact_match),
        Calls(backends, cache, batch_size),
        progress=False,
        timing=Timing(folder / "timing.json"),
    )
    try:
        table = made.table()
    finally:
        cache.close()
    save_table(table, folder)
    return table
