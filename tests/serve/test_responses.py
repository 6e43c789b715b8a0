"""OpenAI's client for responses, unchanged, against the server."""

import asyncio

import openai
import pytest


@pytest.fixture
def served(start):
    return start()


@pytest.fixture
def client(served):
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)


def test_answers_are_those_of_the_router(served, client, queries):
    for query in queries:
        mine = served.router.route(query.text)
        reply = client.responses.create(model="auto", input=query.text)
        assert reply.output_text == mine.answer
        assert reply.usage.input_tokens == mine.tokens_in
        assert reply.hierrouter["route"] == list(mine.route)


def test_streams_of_an_asynchronous_client_end_with_the_whole_response(served, queries):
    async def texts():
        async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none") as client:
            for query in queries:
                pieces, turns = [], [{"role": "user", "content": [{"type": "input_text", "text": query.text}]}]
                async with client.responses.stream(model="auto", input=turns) as stream:
                    async for event in stream:
                        if event.type == "response.output_text.delta":
                            pieces.append(event.delta)
                    final = await stream.get_final_response()
                yield "".join(pieces), final

    async def collect():
        return [pair async for pair in texts()]

    for query, (text, final) in zip(queries, asyncio.run(collect()), strict=True):
        assert text == final.output_text == served.router.route(query.text).answer
        assert final.status in ("completed", "incomplete")


def test_state_is_refused_by_name(client):
    for changes, words in (
        ({"previous_response_id": "resp_1"}, "previous_response_id is given, but this server keeps no responses"),
        ({"store": True}, "store is true"),
        ({"include": ["file_search_call.results"]}, "include holds"),
        ({"tools": [{"type": "web_search"}]}, r"tools.0 is of type 'web_search'"),
        ({"text": {"verbosity": "low"}}, r"text.verbosity"),
        ({"background": True}, "background"),
    ):
        with pytest.raises(openai.BadRequestError, match=words):
            client.responses.create(model="auto", input="2+2", **changes)
