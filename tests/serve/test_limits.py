"""Requests that are too large, too slow, malformed, foreign or too many get clear answers of 4xx."""

import asyncio
import json
import socket
import time

import httpx
import pytest

from hierrouter_jax.bridge.backends import Generation
from hierrouter_jax.errors import InputError
from hierrouter_jax.serve.limits import Sessions
from hierrouter_jax.serve.settings import ServeConfig

CHAT = "/v1/chat/completions"
QUESTION = {"messages": [{"role": "user", "content": "Compute 12+7-5. In digits."}]}


def post(served, content, path=CHAT, **headers):
    return httpx.post(
        f"{served.url}{path}", content=content, headers={"content-type": "application/json", **headers}, timeout=20
    )


@pytest.mark.parametrize("path", [CHAT, "/v1/responses", "/v1/messages", "/v1/decision", "/v1/feedback"])
def test_malformed_bodies_are_refused_in_one_sentence(start, path):
    served = start(max_body=100_000)
    deep = b'{"messages": ' + b"[" * 40_000 + b"]" * 40_000 + b"}"
    odd = {"model": "auto", "max_tokens": 50, "messages": [{"role": "user", "content": "\ud800 2+2"}]}
    for content, status in (
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"messages": [{"role": "user", "content": "\xff"}]}', 400),
        (b"[]", 400),
        (deep, 400),
        (json.dumps(odd).encode(), 400),
        (json.dumps({"\ud800": 1}).encode(), 400),
        (b'{"messages": [{"role": "user", "content": "q"}], "temperature": NaN}', 400),
        (b" " * 100_001, 413),
    ):
        reply = post(served, content, path)
        assert reply.status_code == status, (content[:40], reply.text)
        error = reply.json()["error"]
        assert error["message"]
        assert "Traceback" not in reply.text
    assert post(served, json.dumps(QUESTION)).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b'{"input": "2+2", "text": {"format": {"type": "text", "x": 1e999}}}',
        b'{"input": "\xed\xa0\x80 2+2"}',
        json.dumps({"input": "\ud800 2+2"}, ensure_ascii=False).encode("utf-16", "surrogatepass"),
    ],
)
def test_odd_text_and_numbers_are_refused_however_they_are_written(start, backends, content):
    for backend in backends:
        backend.positions = 500  # the tokens of a prompt are then counted
    reply = post(start(), content, "/v1/responses")
    assert reply.status_code == 400
    assert "no Unicode" in reply.json()["error"]["message"]
    assert not any(backend.asked for backend in backends)


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_that_does_not_fit_the_member_that_is_named_is_refused(start, backends, stream):
    backends[2].positions = 70  # of which 60 are for the response
    reply = post(start(), json.dumps(QUESTION | {"model": "speller", "stream": stream}))
    assert reply.status_code == 400
    assert "model 'speller': a prompt of" in reply.json()["error"]["message"]


@pytest.mark.parametrize("path", [CHAT, "/v1/messages"])
def test_a_fault_of_the_server_is_an_error_of_the_interface(start, path):
    served = start()
    served.service.ask = lambda *_: 1 / 0
    reply = post(served, json.dumps(QUESTION | {"max_tokens": 100}), path)
    assert reply.status_code == 500
    assert reply.json()["error"]["type"] == "api_error"
    assert ("type" in reply.json()) is (path == "/v1/messages")
    assert f'path="{path}",status="500"}} 1.0' in httpx.get(f"{served.url}/metrics").text


def test_unknown_fields_and_untrained_conditions_are_named(start):
    served = start()
    for changes, words in (
        ({"best_of": 3}, "best_of: Extra inputs are not permitted"),
        ({"n": 2}, "n: Input should be 1"),
        ({"logprobs": True}, "logprobs: "),
        ({"hierrouter": {"budget": 10}}, "train with --train.static.budgeted true"),
        ({"hierrouter": {"cost_weight": 0.1}}, "train with --train.static.cost_conditioned true"),
        ({"hierrouter": {"max_hops": 9}}, "max_hops is 9, but must be 1 to 4"),
        ({"hierrouter": {"task": "math"}}, "no part 'task'"),
        ({"tools": [{"type": "function"}]}, "member 'reader' cannot be told tools"),
        ({"messages": [{"role": "user", "content": " "}]}, "nothing to route"),
        ({"messages": [{"role": "assistant", "content": "hm"}]}, "the last message is of assistant"),
        ({"model": "speller", "hierrouter": {"max_hops": 1}}, "answers by itself"),
    ):
        reply = post(served, json.dumps(QUESTION | changes))
        assert reply.status_code == 400, reply.text
        assert words in reply.json()["error"]["message"]
    for name in ("x-hierrouter-budget", "x-hierrouter-cost-weight"):
        assert "train with" in post(served, json.dumps(QUESTION), **{name: "3"}).json()["error"]["message"]
    assert "must be a number" in post(served, json.dumps(QUESTION), **{"x-hierrouter-max-hops": "x"}).text
    one = post(served, json.dumps(QUESTION), **{"x-hierrouter-max-hops": "1"}).json()
    assert len(one["hierrouter"]["route"]) == 1


@pytest.mark.parametrize(("name", "value"), [("budget", "-1"), ("cost-weight", "nan"), ("max-hops", "0")])
def test_a_header_that_cannot_be_is_named_in_one_sentence(start, name, value):
    message = post(start(), json.dumps(QUESTION), **{f"x-hierrouter-{name}": value}).json()["error"]["message"]
    assert message.startswith(f"the header x-hierrouter-{name}: Input should be ")
    assert "pydantic" not in message


def test_a_body_of_parts_that_names_no_length_is_refused_where_it_is_too_large(start):
    served = start(max_body=100_000)
    reply = post(served, (b" " * 1000 for _ in range(200)))
    assert reply.status_code == 413
    assert "larger than 100,000 bytes" in reply.json()["error"]["message"]
    assert reply.headers["connection"] == "close"
    assert f'path="{CHAT}",status="413"}} 1.0' in httpx.get(f"{served.url}/metrics").text


def test_a_body_that_trickles_in_is_given_up(start):
    served = start(body_seconds=0.5)
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        lines = [f"POST {CHAT} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", "Content-Length: 500"]
        slow.sendall("\r\n".join([*lines, "", ""]).encode())
        began = time.monotonic()
        slow.settimeout(10)
        try:
            for _ in range(8):
                slow.sendall(b" ")
                time.sleep(0.1)
        except OSError:
            pass
        said = slow.recv(2000).decode()
    assert said.startswith("HTTP/1.1 408")
    assert "did not arrive within 0.5 seconds" in said
    assert time.monotonic() - began < 3


def test_keys_hosts_and_origins(start):
    served = start(key="secret-key", allowed_origins=("https://chat.example",))
    url = f"{served.url}/v1/models"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={"authorization": "Bearer wrong"}).status_code == 401
    assert httpx.get(url, headers={"authorization": "Bearer secret-key"}).status_code == 200
    assert httpx.get(url, headers={"x-api-key": "secret-key"}).status_code == 200
    assert httpx.get(f"{served.url}/healthz").status_code == 200
    assert httpx.get(f"{served.url}/metrics").status_code == 401
    assert httpx.post(f"{served.url}/admin/reload").status_code == 401
    key = {"x-api-key": "secret-key"}
    assert httpx.get(url, headers={**key, "origin": "https://evil.example"}).status_code == 403
    assert httpx.get(url, headers={**key, "origin": "https://chat.example"}).status_code == 200
    assert httpx.get(url, headers={**key, "origin": served.url}).status_code == 200


def test_an_allowed_page_may_call_and_read_what_browsers_ask_for_beforehand(start):
    served = start(key="secret-key", allowed_origins=("https://chat.example",))
    url, page, key = f"{served.url}{CHAT}", {"origin": "https://chat.example"}, {"x-api-key": "secret-key"}
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,x-api-key"}
    asks |= {"access-control-request-private-network": "true"}  # by a page of the internet, of a server at home
    before = httpx.options(url, headers={**page, **asks})
    assert before.status_code == 200
    assert before.headers["access-control-allow-origin"] == "https://chat.example"
    assert "POST" in before.headers["access-control-allow-methods"]
    assert before.headers["access-control-allow-headers"] == "content-type,x-api-key"
    assert before.headers["access-control-allow-private-network"] == "true"
    reply = httpx.post(url, json=QUESTION, headers={**page, **key}, timeout=20)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == "https://chat.example"
    shown = reply.headers["access-control-expose-headers"].split(", ")
    assert {name for name in reply.headers if name.startswith("x-hierrouter-")} == set(shown)
    without = httpx.post(url, json=QUESTION, headers=page)
    assert without.status_code == 401
    assert without.headers["access-control-allow-origin"] == "https://chat.example"  # so that the page can say why


@pytest.mark.parametrize("origins", [(), ("https://chat.example",)])
def test_a_page_that_is_not_allowed_is_refused_beforehand_and_when_it_calls(start, origins):
    served = start(allowed_origins=origins)
    foreign = {"origin": "https://evil.example"}
    before = httpx.options(f"{served.url}{CHAT}", headers={**foreign, "access-control-request-method": "POST"})
    assert before.status_code in (400, 403)
    reply = httpx.post(f"{served.url}{CHAT}", json=QUESTION, headers=foreign)
    assert reply.status_code == 403
    assert "see --allowed_origins" in reply.json()["error"]["message"]
    assert not any("access-control-allow-origin" in one.headers for one in (before, reply))


def test_without_a_key_foreign_names_are_refused(start):
    served = start()
    assert httpx.get(f"{served.url}/v1/models", headers={"host": "evil.example"}).status_code == 403
    assert httpx.get(f"{served.url}/v1/models", headers={"host": "localhost:1"}).status_code == 200
    assert httpx.get(f"{served.url}/v1/models", headers={"origin": "http://["}).status_code == 403


def test_an_address_that_others_reach_needs_a_key():
    with pytest.raises(InputError, match="name the variable that holds a key"):
        ServeConfig(host="0.0.0.0")
    assert ServeConfig(host="0.0.0.0", key_env="KEY").loopback is False


def test_more_requests_than_may_be_are_asked_to_come_again(start, backends):
    def slow(prompts):
        time.sleep(0.6)
        return [Generation("4", 3, 2, "stop", 0.1)] * len(prompts)

    for backend in backends:
        backend.generate = slow
    served = start(max_requests=2)

    async def three():
        async with httpx.AsyncClient(timeout=20) as client:
            return await asyncio.gather(*(client.post(f"{served.url}{CHAT}", json=QUESTION) for _ in range(3)))

    replies = asyncio.run(three())
    assert sorted(reply.status_code for reply in replies) == [200, 200, 429]
    refused = next(reply for reply in replies if reply.status_code == 429)
    assert refused.headers["retry-after"] == "1"
    assert post(served, json.dumps(QUESTION)).status_code == 200


def test_a_request_that_takes_too_long_ends(start, backends):
    for backend in backends:
        backend.generate = lambda prompts: time.sleep(1.0) or [Generation("4", 3, 2, "stop", 0.1)] * len(prompts)
    served = start(timeout=0.3)
    reply = post(served, json.dumps(QUESTION))
    assert reply.status_code == 504
    assert "x-hierrouter-episode-id" in reply.headers
    assert served.service.gate.under_way == 0


def test_a_session_spends_its_budget_across_turns():
    sessions = Sessions(most=2)
    assert sessions.left("a", 10.0) == 10.0
    sessions.spend("a", 4.0)
    assert sessions.left("a", None) == 6.0
    sessions.spend("a", 6.0)
    with pytest.raises(InputError, match="has spent 10 of its budget of 10"):
        sessions.left("a", None)
    assert sessions.left("a", 12.0) == 2.0
    assert sessions.left("b", None) is None
    sessions.left("c", None)
    assert sessions.left("a", None) is None  # forgotten, as it was used longest ago
