"""Replies of an endpoint, valid and mutated."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

CHAT = {"messages": [{"role": "user", "content": "q"}]}
TEXT = {"prompt": "q"}


def chat(content: Any = "ok", reason: Any = "stop", usage: Any = None, **choice: Any) -> dict[str, Any]:
    one = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": content}, **choice}
    return {"id": "1", "choices": [one], "usage": usage or {"prompt_tokens": 5, "completion_tokens": 2}}


def text(words: Any = "ok", reason: Any = "stop", logprobs: Any = None) -> dict[str, Any]:
    one = {"index": 0, "finish_reason": reason, "text": words, "logprobs": logprobs}
    return {"id": "1", "choices": [one], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}


def by_content(*values: Any) -> dict[str, Any]:
    return {"content": [{"token": "t", "logprob": value} for value in values]}


def chunk(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, **more}


SEEDS = [
    chat(logprobs=by_content(-1.0)),
    chat([chunk("text", text="a"), chunk("thinking", thinking="b")], "length"),
    text("x", "eos", {"token_logprobs": [None, -1.0], "tokens": ["a", "b"]}),
    {"error": {"message": "m", "code": "c", "param": None}},
]
ODD = [None, True, 0, -1, 2**31, 10**40, 1e308, float("nan"), "", "\ud800", "x" * 500, "\x00", [], {}, [[]], {"": None}]


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from places(inner, (*path, at))


def mutated(rng: random.Random) -> bytes:
    """A valid reply with one to three places changed, taken away or doubled; now and then cut, or with a bad byte."""
    reply = copy.deepcopy(rng.choice(SEEDS))
    for _ in range(rng.randint(1, 3)):
        *path, last = rng.choice([place for place in places(reply) if place] or [("error",)])
        inner = reply
        for name in path:
            inner = inner[name]
        action = rng.random()
        if action < 0.2:
            del inner[last]
        elif action < 0.3 and isinstance(inner, list):
            inner.append(copy.deepcopy(inner[last]))
        elif action < 0.4:
            inner[last] = copy.deepcopy(rng.choice(SEEDS))
        elif action < 0.5:
            inner[last] = [inner[last]]
        else:
            inner[last] = copy.deepcopy(rng.choice(ODD))
        if not reply:
            break
    body = json.dumps(reply).encode()
    if rng.random() < 0.05:
        body = body[: rng.randrange(len(body))]
    if rng.random() < 0.05:
        body = body.replace(b"a", b"\xff", 1)
    return body
