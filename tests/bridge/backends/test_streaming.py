"""A streamed response in its layouts, put together as it comes; one that is none is a failure of the call."""

import asyncio
import json
import time

import pytest

from hierrouter_jax.bridge.backends import Failure, Generation
from hierrouter_jax.bridge.backends.interface import Piece
from tests.bridge.backends.asking import backend, quick
from tests.bridge.endpoints import Reply, chunks, completion

__all__ = ["quick"]

USAGE = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}}


def part(reason=None, **delta):
    return {"choices": [{"index": 0, "finish_reason": reason, "delta": delta}]}


def streamed(server, *bodies, chat: bool = True):
    """What a client sees of a stream of these bodies: the texts of its pieces, and the answer."""
    events = [f"data: {json.dumps(body)}\n\n".encode() for body in bodies]
    server.rule = lambda asked: Reply(events=[*events, b"data: [DONE]\n\n"])
    return asked_of(backend(server, chat=chat))


def asked_of(asking):
    """The texts of a stream's pieces, and the answer."""

    async def ask():
        return [one async for one in asking.client.stream(asking.request("q"))]

    *pieces, answer = asyncio.run(ask())
    assert all(isinstance(piece, Piece) for piece in pieces)
    return [piece.text for piece in pieces], answer


CONTENTS = [
    ([{"content": "a"}, {"content": "b"}], ["a", "b"]),
    ([{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "well"}]}]}, {"content": "4"}], ["4"]),
    ([{"content": [{"type": "text", "text": "a"}]}, {"content": ["b", {"type": "text", "text": "c"}]}], ["a", "bc"]),
    (
        [{"content": ""}, {"content": None, "refusal": "I would "}, {"refusal": "rather not."}],
        ["I would ", "rather not."],
    ),
]


@pytest.mark.parametrize(("deltas", "pieces"), CONTENTS)
def test_content_in_its_layouts(server, deltas, pieces):
    shown, answer = streamed(server, *(part(**delta) for delta in deltas), part("stop"), USAGE)
    assert shown == pieces
    assert isinstance(answer, Generation)
    assert answer[:4] == ("".join(pieces), 1, 3, "stop")


def test_a_text_without_a_chat(server):
    parts = [{"choices": [{"index": 0, "finish_reason": None, "text": text}]} for text in ("a ", "b")]
    assert streamed(server, *parts, USAGE, chat=False)[1][:3] == ("a b", 1, 3)


UNREADABLE = [
    5,
    None,
    [1],
    "text",
    {"usage": 5},
    {"choices": 5},
    {"choices": [5]},
    {"choices": [{"delta": "text"}]},
    part(content=5),
    part(content={"text": "a"}),
    part(content=[{"type": "image_url"}]),
    part(content=[7]),
    part(tool_calls=[7]),
    part(tool_calls=7),
    part(reason=["stop"], content="a"),
]


@pytest.mark.parametrize("body", UNREADABLE)
def test_what_is_no_chunk_is_a_failure_that_says_so(server, body):
    _, answer = streamed(server, USAGE, part(content="one "), body)
    assert isinstance(answer, Failure)
    assert answer.reason.startswith(server.url)
    assert "\n" not in answer.reason


def test_a_response_that_comes_too_slowly_is_broken_off(server):
    """A word comes every tenth of a second, within the time for all of them; they take two seconds."""
    server.rule = lambda asked: Reply(events=chunks(asked, "slow " * 20, seconds=0.1))
    began = time.monotonic()
    pieces, answer = asked_of(backend(server, {"timeout": 0.55, "retries": 0}))
    assert 0.55 <= time.monotonic() - began < 1.5
    assert 1 <= len(pieces) <= 6
    assert answer == Failure(f"{server.url} broke off its response (its time is up; see timeout)", "away")


def test_the_seconds_are_those_of_an_unstreamed_call(server):
    """It takes 0.3 seconds until the server answers at all, and 0.1 for each of two words."""
    server.rule = lambda asked: Reply(events=chunks(asked, "two words", seconds=0.1), seconds=0.3)
    _, answer = asked_of(backend(server))
    assert 0.5 <= answer.latency < 1.5
    assert answer.logprob is None
    server.rule = lambda asked: Reply(completion(asked, "two words"), seconds=0.5)
    assert 0.5 <= backend(server).generate(["q"])[0].latency < 1.5
