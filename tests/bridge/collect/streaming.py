"""A pool of an endpoint with calls under way together, and a table of it."""

import hashlib
import random

from hierrouter_jax.bridge.backends import load_backends
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import collect
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, PoolConfig
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.table import Query
from tests.bridge.endpoints import Asked, Reply, completion

AT_ONCE = 4
TREE = HopTree(2, 2)


def pool(url: str, names=("a", "b"), **endpoint):
    where = {"weights": "w", "retries": 0, "concurrency": AT_ONCE, **endpoint}
    members = [
        ModelConfig(
            name,
            kind="openai",
            max_new_tokens=20,
            base_rate=1.0,
            endpoint=Endpoint(url, name, **where | {"weights": name}),
        )
        for name in names
    ]
    return load_backends(PoolConfig(tuple(members)))


def table_of(url: str, cache: CallCache, queries: int = 9, tree: HopTree = TREE, **changes):
    splits = ("train", "validation", "test")
    asked = [Query(f"q{row}", f"Query {row}", "task", "a", splits[row % 3]) for row in range(queries)]
    arguments = asked, pool(url), tree, NGramEncoder(size=8), HopPrompt(), one_by_one(exact_match), cache
    return collect(*arguments, progress=False, **changes)


def digest(asked: Asked) -> Reply:
    """An answer that follows from model and prompt, and a time that does not."""
    text = hashlib.sha256(f"{asked.fields['model']}{asked.prompt}".encode()).hexdigest()[:4]
    return Reply(completion(asked, text), seconds=random.Random(asked.port).random() / 50)
