"""OpenAI's client, unchanged, against the server."""

import openai
import pytest


@pytest.fixture
def served(start):
    return start()


@pytest.fixture
def client(served):
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)


def ask(client, text, **more):
    return client.chat.completions.create(model="auto", messages=[{"role": "user", "content": text}], **more)


def test_answers_and_routes_are_those_of_the_router(served, client, queries):
    for query in queries:
        mine = served.router.route(query.text)
        reply = ask(client, query.text)
        assert reply.choices[0].message.content == mine.answer
        assert reply.hierrouter["route"] == list(mine.route)
        assert reply.hierrouter["cost"] == mine.cost
        assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (mine.tokens_in, mine.tokens_out)


def test_a_stream_is_the_same_answer_and_ends_with_usage(served, client, queries):
    for query in queries:
        mine = served.router.route(query.text)
        chunks = list(ask(client, query.text, stream=True, stream_options={"include_usage": True}))
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == mine.answer
        assert chunks[-1].usage.total_tokens == mine.tokens_in + mine.tokens_out
        assert chunks[-1].hierrouter["route"] == list(mine.route)
