"""The engine walks the routes that `hierrouter route` walks, and goes on around members that fail."""

import asyncio
from dataclasses import replace

from hierrouter_jax.bridge.backends import Failure
from hierrouter_jax.bridge.backends.interface import Piece
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.serve.conversation import read_conversation
from hierrouter_jax.serve.episode import Ask, Episode
from hierrouter_jax.serve.router import Router
from tests.serve.pools import always


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


def test_a_hop_that_a_member_may_follow_which_failed_before_it_is_not_streamed(programmed, make_bundle, encoder):
    """370 pay for the dear call of 366, and then for the cheap member alone, which has just failed, but answers again.

    A character is a token, and each call may write 60: dear costs 2 x 3 + 60 x 6, and really 2 x 3 + 10 x 6 = 66;
    cheap costs 2 + 60 x 2 = 122 at first, and then, with `from dear` in its prompt, 132.
    """
    dear, cheap = programmed("dear", lambda _: "from dear", 3.0), programmed("cheap", lambda _: "from cheap", 1.0)
    answers = cheap.generate
    cheap.generate = lambda prompts: [Failure("not now")] if len(prompts[0]) == 2 else answers(prompts)
    bundle = always(make_bundle([dear.price, cheap.price], 2, {"budget": [0.1, 9.0]}), [1, 1])
    router = Router(bundle, [dear, cheap], encoder, HopPrompt())
    episode = Episode(Ask("e", read_conversation([{"role": "user", "content": "q"}]), budget=370.0, stream=True))

    async def events():
        return [event async for event in router.engine().run(episode)]

    pieces = [event.text for event in asyncio.run(events()) if isinstance(event, Piece)]
    assert [hop.model for hop in episode.hops] == ["dear", "cheap"]
    assert "".join(pieces) == "from cheap"
