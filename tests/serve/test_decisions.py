"""States that wait together are read together, and each as if it were alone."""

import asyncio

import numpy as np
import pytest

from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.table import Context
from hierrouter_jax.serve.decisions import Decider, State, softmax


class CountingEncoder(NGramEncoder):
    """Counts its batches."""

    def __init__(self, size):
        super().__init__(size)
        self.batches = []

    def encode(self, contexts):
        self.batches.append(len(contexts))
        return super().encode(contexts)


@pytest.fixture
def states():
    rng = np.random.default_rng(0)
    return [
        State(
            Context(f"question {number}", ("answer",) * stage),
            stage,
            10.0 * number,
            [None, 0.5][number % 2],
            [None, 400.0][number % 3 == 0],
            rng.uniform(50, 300, 3) if number % 3 == 0 else None,
        )
        for number in range(12)
        for stage in (0, 1)
    ]


@pytest.fixture
def bundle(backends, make_bundle):
    conditions = {"cost_weight": [0.001, 1.0], "budget": [0.1, 9.0]}
    return make_bundle([backend.price for backend in backends], 4, conditions)


async def read_all(decider, states):
    return await asyncio.gather(*(decider.read(state) for state in states))


def test_those_that_wait_together_are_one_batch_and_each_as_alone(bundle, states):
    encoder = CountingEncoder(16)
    together = asyncio.run(read_all(Decider(bundle, encoder), states))
    assert encoder.batches == [len(states)]
    for state, reading in zip(states, together, strict=True):
        (alone,) = asyncio.run(read_all(Decider(bundle, NGramEncoder(16)), [state]))
        np.testing.assert_array_equal(alone.embedding, reading.embedding)
        np.testing.assert_allclose(alone.logits, reading.logits, atol=1e-5)
        assert softmax(reading.logits).sum() == pytest.approx(1)


def test_an_error_reaches_those_who_waited_and_nobody_later(bundle, states):
    class Broken(CountingEncoder):
        def encode(self, contexts):
            if not self.batches:
                self.batches.append(0)
                raise ValueError("once")
            return super().encode(contexts)

    async def both():
        decider = Decider(bundle, Broken(16))
        first = await asyncio.gather(*(decider.read(state) for state in states[:2]), return_exceptions=True)
        return first, await decider.read(states[0])

    first, later = asyncio.run(both())
    assert [str(error) for error in first] == ["once", "once"]
    assert later.logits.shape == (4,)


def test_who_left_is_not_read(bundle, states):
    async def leave():
        encoder = CountingEncoder(16)
        decider = Decider(bundle, encoder)
        tasks = [asyncio.create_task(decider.read(state)) for state in states[:3]]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return encoder.batches

    assert asyncio.run(leave()) == [2]


def test_long_texts_are_encoded_beside_the_event_loop(bundle, states):
    async def beats():
        decider = Decider(bundle, NGramEncoder(16))
        long = states[0]._replace(context=Context("words and more of them " * 10_000))
        reading, count = asyncio.create_task(decider.read(long)), 0
        while not reading.done():
            await asyncio.sleep(0.001)
            count += 1
        return count

    assert asyncio.run(beats()) > 3
