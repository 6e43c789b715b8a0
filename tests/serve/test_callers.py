"""Calls of a member whose weights run in this process: which share a batch, and which the draws."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from hierrouter_jax.bridge.backends import Generation
from hierrouter_jax.outcomes.table import Context
from hierrouter_jax.serve.callers import Call, LocalCaller
from hierrouter_jax.serve.conversation import Conversation, Options


class Drawing:
    """A backend whose copies are told apart by their number, as they would be by their seed."""

    max_new_tokens = 9

    def __init__(self) -> None:
        self.copies, self.batches = [], []

    def with_settings(self, fields):
        self.copies.append(dict(fields))
        copy = Drawing()
        copy.number, copy.batches = len(self.copies), self.batches
        return copy

    def generate_watched(self, prompts, watch):
        self.batches.append(sorted(prompts))
        return [Generation(f"{prompt} by {self.number}", 1, 2, "stop", 0.0) for prompt in prompts]


def answers(backend, prompts, **fields):
    """The texts of answers to calls that wait together."""
    with ThreadPoolExecutor(1) as threads:
        caller = LocalCaller(backend, threads)

        async def ask():
            calls = [
                Call(prompt, Conversation(Context(prompt), Context(prompt)), Options(dict(fields)))
                for prompt in prompts
            ]
            return [(await caller.answer(call)).text for call in calls[:1]] + [
                answer.text for answer in await asyncio.gather(*map(caller.answer, calls[1:]))
            ]

        return asyncio.run(ask())


def test_draws_that_nobody_seeds_are_of_no_other_call():
    """The first call is over when the others come, of which two are equal and share no batch."""
    backend = Drawing()
    assert len(set(answers(backend, ["a", "a", "b", "a"], temperature=0.9))) == 4
    assert backend.batches == [["a"], ["a", "b"], ["a"]]


@pytest.mark.parametrize("fields", [{"temperature": 0.9, "seed": 3}, {"temperature": 0}, {"max_tokens": 4}])
def test_what_is_settled_is_made_once_and_shares_a_batch(fields):
    backend = Drawing()
    assert answers(backend, ["a", "a", "b", "a"], **fields) == ["a by 1", "a by 1", "b by 1", "a by 1"]
    assert backend.copies == [fields]
    assert backend.batches == [["a"], ["a", "a", "b"]]
