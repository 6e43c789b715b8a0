"""Anthropic's client, unchanged, against the server."""

import anthropic
import pytest


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
