"""What a request leaves in a decision log."""

import asyncio
from dataclasses import replace

from hierrouter_jax.serve.conversation import read_conversation
from hierrouter_jax.serve.episode import Ask, Episode
from hierrouter_jax.serve.log_records import records_of

TURNS = [{"role": "user", "content": "Compute 12+7-5. In digits."}]


def test_the_task_is_the_one_that_the_client_names(router):
    async def one():
        engine, episode = router.engine(), Episode(Ask("e", read_conversation(TURNS)))
        async for _ in engine.run(episode):
            pass
        return engine, episode

    engine, episode = asyncio.run(one())
    assert {record.task for record in records_of(episode, engine, 0.0, False)} == {None}
    episode.ask = replace(episode.ask, conversation=read_conversation(TURNS, "math"))
    assert {record.task for record in records_of(episode, engine, 0.0, False)} == {"math"}
