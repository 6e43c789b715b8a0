"""Whatever clients send and endpoints reply: an answer or an error that says what is wrong, never a failure within."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import strategies as st

from hierrouter_jax.bridge.backends import Failure, Generation
from hierrouter_jax.bridge.backends.reply import read_reply
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.serve.app import make_app
from hierrouter_jax.serve.router import Router
from hierrouter_jax.serve.settings import ServeConfig
from tests.bridge.conftest import ProgrammedBackend
from tests.bridge.replies import CHAT, TEXT, by_content, chat, chunk, text
from tests.bundles import BUNDLES, EMBEDDING
from tests.fuzz.engine import ODD_TEXTS, fuzz, mutations, no_hang, odd_values

REPLIES = [
    chat("plain"),
    text("plain"),
    chat([chunk("text", text="a"), chunk("reasoning", summary=[])]),
    chat("x", logprobs=by_content(-1.0, -2.0)),
    {"error": {"message": "busy", "code": 429}},
]


def kept_or_failed(body):
    with no_hang(10):
        answer = read_reply(body, CHAT, 9, 0.5, "http://x/v1")
        read_reply(body, TEXT, 9, 0.5, "http://x/v1")
    if isinstance(answer, Failure):
        assert len(answer.reason) < 2000
        return
    assert isinstance(answer, Generation)
    assert 0 <= answer.tokens_in < 2**31
    assert 0 <= answer.tokens_out < 2**31
    answer.text.encode("utf-8")  # so that it can be kept
    json.dumps(answer._asdict(), allow_nan=False)


@pytest.mark.fuzzed("replies")
@pytest.mark.parametrize("number", range(len(REPLIES)))
def test_odd_replies(number):
    fuzz(lambda odd: kept_or_failed(json.dumps(odd).encode()), mutations(REPLIES[number]), examples=60)


@pytest.mark.fuzzed("replies")
def test_any_bytes_as_a_reply():
    deep = [b"[" * 100_000, b'{"choices":' * 20_000, b'{"choices": [' + b"9" * 5000 + b"]}"]
    bodies = st.one_of(st.binary(max_size=60), st.sampled_from(deep), odd_values.map(lambda v: json.dumps(v).encode()))
    fuzz(kept_or_failed, bodies, examples=100)


@pytest.fixture(scope="module")
def call():
    """Sends a body to a server of programmed members, in this process; gives status and text."""
    encoder = NGramEncoder(size=EMBEDDING)
    bundle = replace(BUNDLES["conditioned"], encoder=encoder.spec)
    members = [ProgrammedBackend(one.name, lambda prompt: "yes") for one in bundle.pool]
    for member, price in zip(members, bundle.pool, strict=True):
        member.price, member.max_new_tokens = price, price.max_new_tokens
    app = make_app(ServeConfig(policy=Path("unused")), Router(bundle, members, encoder, HopPrompt()))
    loop = asyncio.new_event_loop()
    lifespan = app.router.lifespan_context(app)
    loop.run_until_complete(lifespan.__aenter__())
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app, raise_app_exceptions=True), base_url="http://localhost"
    )

    def send(path, body, method="POST"):
        async def once():
            headers = {"content-type": "application/json"}
            return await client.request(method, path, content=body, headers=headers, timeout=20)

        reply = loop.run_until_complete(once())
        return reply.status_code, reply.text

    yield send
    loop.run_until_complete(client.aclose())
    loop.run_until_complete(lifespan.__aexit__(None, None, None))
    loop.close()


TURNS = [{"role": "system", "content": "s"}, {"role": "user", "content": "Compute 12+7-5."}]
REQUESTS = {
    "/v1/chat/completions": {
        "model": "auto",
        "messages": [*TURNS, {"role": "user", "content": [{"type": "text", "text": "x"}]}],
        "temperature": 0.5,
        "max_tokens": 9,
        "stream": False,
        "stop": ["x"],
        "hierrouter": {"cost_weight": 0.1, "budget": 100, "max_hops": 2, "exclude": ["m0"]},
        "metadata": {"a": "b"},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    },
    "/v1/responses": {"model": "auto", "input": TURNS, "max_output_tokens": 5, "stream": False, "instructions": "i"},
    "/v1/messages": {
        "model": "auto",
        "max_tokens": 5,
        "system": "s",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        "stream": False,
    },
    "/v1/decision": {"model": "auto", "messages": TURNS},
    "/v1/feedback": {"episode_id": "x", "quality": 1.0},
}


@pytest.mark.fuzzed("requests")
@pytest.mark.parametrize("path", REQUESTS)
def test_odd_requests(path, call):
    def law(odd):
        with no_hang(20):
            status, answer = call(path, json.dumps(odd))
        assert status in (200, 400, 404, 409, 413, 422, 503), f"{status}: {answer[:300]}"
        if "text/event-stream" not in answer and not answer.startswith(("data:", "event:", ":")):
            json.loads(answer)
        assert "Traceback" not in answer

    fuzz(law, mutations(REQUESTS[path]), examples=30)


@pytest.mark.fuzzed("requests")
def test_any_bytes_as_a_request(call):
    def law(path, body):
        with no_hang(20):
            status, answer = call(path, body)
        assert 400 <= status < 500, f"{status}: {answer[:300]}"
        json.loads(answer)

    bodies = st.one_of(st.binary(max_size=40), st.sampled_from([b"[" * 50_000, b'{"a":' * 20_000, b"", b"null", b"[]"]))
    fuzz(law, st.sampled_from(sorted(REQUESTS)), bodies, examples=40)


@pytest.mark.parametrize("text", [*ODD_TEXTS, "x" * 10_000_000, "\u202e" * 1000], ids=range(len(ODD_TEXTS) + 2))
def test_questions_of_odd_characters_and_ten_megabytes(text, call):
    """What is no Unicode is refused, what is too long is refused, all else is answered or refused, never lost."""
    body = json.dumps({"messages": [{"role": "user", "content": text}]})
    with no_hang(20):
        status, answer = call("/v1/chat/completions", body)
    reply = json.loads(answer)
    if text == "\ud800" or not text.strip("\0 ") or len(text) > 1_000_000:
        assert status in (400, 413, 200)
    else:
        assert status == 200, reply
    assert ("error" in reply) == (status != 200)


def test_paths_that_lead_out_of_the_pages_folder(call):
    for path in (
        "/../pyproject.toml",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/\0",
        "/a%00",
    ):
        with no_hang(10):
            status, answer = call(path.replace("\0", "%00"), b"", "GET")
        assert status in (400, 404), (path, status)
        assert "root:" not in answer


def test_a_server_whose_fault_would_be_seen(call, monkeypatch):
    """The law notices: an error inside reaches it."""
    monkeypatch.setattr("hierrouter_jax.serve.service.Service.ask", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call("/v1/decision", json.dumps(REQUESTS["/v1/decision"]))
