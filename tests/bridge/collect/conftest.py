"""Two models that answer with their name, and a collection of three queries by them."""

import pytest

from hierrouter_jax.bridge.backends import Failure
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import collect
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.table import Query

TREE = HopTree(2, 2)
QUERIES = [Query(split, f"Is it {split}?", "task", "ok", split) for split in ("train", "validation", "test")]


@pytest.fixture
def pair(programmed):
    """Two models that answer with their name; every call costs its prompt's length and twice 61 at most."""
    return [programmed(name, lambda prompt, name=name: name) for name in ("ok", "no")]


@pytest.fixture
def run_pair():
    """Collects by both models, without a bar."""

    def run(pair, cache=None, queries=QUERIES, tree=TREE, batch_size=1, **limits):
        arguments = (
            queries,
            pair,
            tree,
            NGramEncoder(size=256),
            HopPrompt(),
            one_by_one(exact_match),
            cache or CallCache(None),
        )
        return collect(*arguments, batch_size, progress=False, **limits)

    return run


def failing(pair, text):
    """The first model fails at prompts that hold a text."""
    answer = pair[0].generate

    def generate(prompts):
        return [Failure("too long") if text in p else a for p, a in zip(prompts, answer(prompts), strict=True)]

    pair[0].generate = generate
    return answer
