"""A router that is told the task: its name is a part of the embedding, in tables as in live routes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import collect
from hierrouter_jax.bridge.encoders.parts import PartsEncoder
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.bridge.route import route
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.rows import read_questions
from hierrouter_jax.outcomes.table import Context


class Letters:
    """A `TextModel` of size 8: how often each of eight letters occurs."""

    size = 8
    identity = "letters"

    def embed(self, texts):
        return np.array([[text.count(letter) for letter in "aeoturs7"] for text in texts], dtype=np.float32)

    def exceeds(self, texts):
        return np.zeros(len(texts), dtype=bool)

    def multiply_adds(self, texts):
        return np.array([8.0 * len(text) for text in texts])


@pytest.fixture
def told() -> PartsEncoder:
    parts = ("query", "task")
    return PartsEncoder(Letters(), {"kind": "letters", "parts": list(parts)}, parts, batch_size=8)


@pytest.fixture
def arguments(told, backends, make_bundle) -> dict[str, Any]:
    bundle: PolicyBundle = replace(make_bundle([backend.price for backend in backends], 2), encoder=told.spec)
    return {"bundle": bundle, "backends": backends, "encoder": told, "prompt": HopPrompt(), "progress": False}


def test_the_part_is_the_tasks_name(told):
    embedding = told.encode([Context("a7", task="rest"), Context("a7")])
    np.testing.assert_array_equal(embedding, [[1, *[0] * 6, 1, 0, 1, 0, 1, 0, 1, 1, 0], [1, *[0] * 6, 1, *[0] * 8]])


def test_live_routes_read_the_task_as_the_table_does(told, queries, backends, arguments):
    queries = [replace(query, task=task) for query in queries for task in ("estate", "7 ours 77")]
    queries = [replace(query, id=f"{query.id}-{row}") for row, query in enumerate(queries)]
    grade = one_by_one(exact_match)
    tree = HopTree(len(backends), 2)
    table = collect(queries, backends, tree, told, HopPrompt(), grade, CallCache(None), progress=False)
    live = route(queries, **arguments)
    first, _ = arguments["bundle"].act(table.context_embedding[:, 0], 0, np.zeros(len(queries)))
    assert [transcript.hops[0].model for transcript in live] == [backends[action].name for action in first]
    assert (first[::2] != first[1::2]).any(), "the task must matter here"
    texts = route([query.text for query in queries[::2]], **arguments, task="estate")
    assert [transcript.hops for transcript in texts] == [transcript.hops for transcript in live[::2]]


def test_a_task_that_is_missing_or_that_nothing_reads_is_refused_before_any_call(
    queries, backends, encoder, arguments, make_bundle
):
    with pytest.raises(InputError, match=r"query-0 is of no task, which the policy is told: give --task, or a column"):
        route(["What is 1+1?"], **arguments)
    untold = make_bundle([backend.price for backend in backends], 2)
    with pytest.raises(InputError, match=r"task 'estate' is given, but the policy's encoder has no part 'task'"):
        route(["What is 1+1?"], **arguments | {"bundle": untold, "encoder": encoder}, task="estate")
    assert not any(backend.asked for backend in backends)


def test_a_column_gives_the_task_and_none_is_none(tmp_path):
    path = tmp_path / "queries.csv"
    path.write_text("text,task\nWhat is 1+1?,sums\n")
    assert [query.task for query in read_questions(path)] == ["sums"]
    path.write_text("text\nWhat is 1+1?\n")
    assert [query.task for query in read_questions(path)] == [""]
