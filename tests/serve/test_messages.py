"""Anthropic's client, unchanged, against the server."""

import json

import anthropic
import httpx
import pytest

from hierrouter_jax.bridge.backends import Failure


@pytest.fixture
def served(start):
    return start()


@pytest.fixture
def client(served):
    return anthropic.Anthropic(base_url=served.url, api_key="none", max_retries=0)


def test_answers_are_those_of_the_router(served, client, queries):
    for query in queries:
        mine = served.router.route(query.text)
        turns = [{"role": "user", "content": [{"type": "text", "text": query.text}]}]
        reply = client.messages.create(model="auto", max_tokens=100, messages=turns)
        assert reply.content[0].text == mine.answer
        assert reply.stop_reason == ("max_tokens" if mine.hops[-1].finish_reason == "length" else "end_turn")
        assert (reply.usage.input_tokens, reply.usage.output_tokens) == (mine.tokens_in, mine.tokens_out)
        with client.messages.stream(model="auto", max_tokens=100, messages=turns) as stream:
            assert stream.get_final_text() == mine.answer
            assert stream.get_final_message().usage.output_tokens == mine.tokens_out


def test_what_it_cannot_do_is_refused_by_name(client):
    turns = [{"role": "user", "content": "2+2"}]
    for changes, words in (
        ({"max_tokens": 5}, "max_tokens"),
        ({"extra_body": {"temperature": 0.5}}, "temperature"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
        ({"messages": [{"role": "user", "content": [{"type": "document"}]}]}, r"messages.0.content.0.*document"),
        ({"tools": [{"type": "web_search", "name": "w"}]}, r"tools.0"),
    ):
        arguments = {"model": "auto", "max_tokens": 100, "messages": turns} | changes
        with pytest.raises(anthropic.BadRequestError, match=words):
            client.messages.create(**arguments)
    with pytest.raises(anthropic.NotFoundError, match="'other' does not exist"):
        client.messages.create(model="other", max_tokens=100, messages=turns)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "content": content}]}]}, words)
        for content, words in (
            (["hi"], "messages.0.content.0.content.0 must be a block of text"),
            (5, "messages.0.content.0.content must be text"),
            ({"a": 1}, "messages.0.content.0.content must be text"),
        )
    ]
    + [({"tool_choice": {"type": []}}, "tool_choice.type is '[]'")],
)
def test_blocks_and_choices_that_are_none_are_refused_by_their_place(served, changes, words):
    body = {"max_tokens": 100, "messages": [{"role": "user", "content": "2+2"}]} | changes
    reply = httpx.post(f"{served.url}/v1/messages", json=body)
    assert reply.status_code == 400
    assert words in reply.json()["error"]["message"]


def test_an_error_has_the_same_kind_whole_and_in_a_stream(served, backends):
    for backend in backends:
        backend.generate = lambda prompts: [Failure("away for tea", "away")] * len(prompts)
    body = {"max_tokens": 100, "messages": [{"role": "user", "content": "2+2"}]}
    whole = httpx.post(f"{served.url}/v1/messages", json=body)
    assert (whole.status_code, whole.json()["error"]["type"]) == (503, "overloaded_error")
    stream = httpx.post(f"{served.url}/v1/messages", json=body | {"stream": True}).text.strip().splitlines()
    assert stream[-2] == "event: error"
    assert json.loads(stream[-1].removeprefix("data: ")) == whole.json()
