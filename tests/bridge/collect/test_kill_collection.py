"""Twenty random SIGKILLs during one collection: the same table, and no more than a batch of calls repeated a kill."""

import hashlib
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from hierrouter_jax.bridge.backends import Generation
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import collect
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.store import save_table
from hierrouter_jax.outcomes.table import Query

TREE, BATCH, QUERIES, KILLS, SECONDS = HopTree(2, 3), 2, 12, 20, 0.004


class SlowBackend:
    """Takes its time over a batch, and logs its calls, as a vendor would count them, before it gives answers back."""

    parameters, max_new_tokens, positions = None, 8, None

    def __init__(self, name: str, log: Path) -> None:
        self.name, self.identity, self.price = name, f"slow/{name}", PricedModel(name, 1.0, 1.0, max_new_tokens=8)
        self._log = log

    def count_tokens(self, prompts: Sequence[str]) -> list[int]:
        return [len(prompt) for prompt in prompts]

    def generate(self, prompts: Sequence[str]) -> list[Generation]:
        time.sleep(SECONDS)
        with self._log.open("a") as log:
            log.write("".join(f"{self.name}{prompt!r}\n" for prompt in prompts))
        return [Generation(self._say(prompt), len(prompt), 5, "stop", 0.0) for prompt in prompts]

    def _say(self, prompt: str) -> str:
        return hashlib.sha256(f"{self.name}{prompt}".encode()).hexdigest()[:4]


def run(folder: Path) -> None:
    """The whole job, in a process that may die at any moment."""
    splits = ("train", "validation", "test")
    queries = [Query(f"q{row}", f"Query {row}", "task", "a", splits[row % 3]) for row in range(QUERIES)]
    backends = [SlowBackend(name, folder / "log") for name in "ab"]
    arguments = queries, backends, TREE, NGramEncoder(size=8), HopPrompt(), one_by_one(exact_match)
    table = collect(*arguments, CallCache(folder / "calls.sqlite"), BATCH, progress=False)
    save_table(table, folder / "table")


def calls(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines() if (folder / "log").exists() else []


def started(folder: Path) -> multiprocessing.Process:
    """Forked, as a fresh interpreter would import for longer than it works."""
    process = multiprocessing.get_context("fork").Process(target=run, args=(folder,))
    process.start()
    return process


@pytest.mark.filterwarnings("ignore:os.fork")
def test_twenty_kills_cost_a_batch_each_at_most_and_change_nothing(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir(), killed.mkdir()
    process = started(whole)
    process.join()
    assert process.exitcode == 0
    rng, repeated = random.Random(0), 0
    for _ in range(KILLS):
        before, process = len(calls(killed)), started(killed)
        wanted = before + BATCH * rng.randint(0, 3)
        while len(calls(killed)) < wanted and process.is_alive():
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 3 * SECONDS))
        assert process.is_alive(), "the job was over before it could be killed; make it longer"
        process.kill()
        process.join()
        paid_again = sum(count - 1 for count in Counter(calls(killed)).values())
        assert paid_again - repeated <= BATCH
        repeated = paid_again
    process = started(killed)
    process.join()
    assert process.exitcode == 0
    assert set(calls(killed)) == set(calls(whole))
    assert len(calls(killed)) - len(calls(whole)) <= KILLS * BATCH
    for name in ("nodes/part-00000.parquet", "queries.parquet", "embeddings.safetensors", "table.json"):
        assert (killed / "table" / name).read_bytes() == (whole / "table" / name).read_bytes()
