"""The engine walks the routes that `hierrouter route` walks, and goes on around members that fail."""

import asyncio
from dataclasses import replace

from hierrouter_jax.bridge.backends import Failure


def plain(hop):
    """A hop without its seconds, its probabilities rounded: a batch's products round otherwise than one row's."""
    probabilities = tuple(round(one, 5) for one in hop.probabilities)
    return replace(hop, seconds=0, probability=round(hop.probability, 5), probabilities=probabilities)


def test_routes_one_at_a_time_or_at_once_are_those_of_the_batch(router, queries):
    texts = [f"{query.text}{' Now.' * number}" for query in queries for number in range(6)]
    batch = router.route_many(texts, progress=False)

    async def all_at_once():
        return await asyncio.gather(*(router.aroute(text) for text in texts))

    for live, transcript in zip(asyncio.run(all_at_once()), batch, strict=True):
        assert [plain(hop) for hop in live.hops] == [plain(hop) for hop in transcript.hops]
        assert (live.answer, live.stopped, live.cost) == (transcript.answer, transcript.stopped, transcript.cost)
    assert len({transcript.route for transcript in batch}) > 2


def test_a_failing_member_is_left_out_and_the_route_goes_on(router, backends):
    first = router.route("Compute 12+7-5. In digits.").hops[0].model
    down = next(backend for backend in backends if backend.name == first)
    down.generate = lambda prompts: [Failure("away for tea", "away")] * len(prompts)
    transcript = asyncio.run(router.aroute("Compute 12+7-5. In digits."))
    assert transcript.hops
    assert first not in transcript.route
    assert not transcript.failed
