"""A member that fails is left out, comes back within seconds, and costs no request its answer."""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import replace

import httpx
import pytest

from hierrouter_jax.serve.callers import Cutter
from tests.bridge.endpoints import FakeServer, Reply, completion, either
from tests.serve.pools import always, endpoint_router

QUESTION = {"messages": [{"role": "user", "content": "q"}]}


@pytest.fixture
def servers():
    fakes = [FakeServer(either(lambda asked, name=name: f"{name} says one two three")) for name in "ab"]
    yield fakes
    for fake in fakes:
        fake.stop()


@pytest.fixture
def served(servers, make_bundle, start):
    router = endpoint_router(servers, make_bundle, horizon=2)
    router.bundle = always(router.bundle, [0, 0])
    return start(of=router)


def route(served, **changes):
    reply = httpx.post(f"{served.url}/v1/chat/completions", json=QUESTION | changes, timeout=20)
    return reply.status_code, reply.json().get("hierrouter", {}).get("route"), reply


def test_recovery_within_five_seconds_of_the_members_return(served, servers):
    assert route(served)[:2] == (200, ["m0", "m0"])
    port = servers[0].port
    servers[0].stop()
    for _ in range(4):
        assert route(served)[:2] == (200, ["m1", "m1"])
    assert httpx.get(f"{served.url}/readyz").json()["members"] == {"m0": "opened", "m1": "closed"}
    quick = time.monotonic()
    status, its, reply = route(served)
    assert (status, its) == (200, ["m1", "m1"])
    assert "breaker" in reply.json()["hierrouter"]["last_decision"]["masked"]["m0"]
    assert time.monotonic() - quick < 0.5
    servers[0].start(port)
    back = time.monotonic()
    while route(served)[1] != ["m0", "m0"]:
        assert time.monotonic() - back < 5
        time.sleep(0.1)


def test_where_nobody_answers_there_is_one_clear_error(served, servers):
    for server in servers:
        server.rule = lambda asked: Reply({"error": {"message": "out of order"}}, status=500)
    status, _, reply = route(served)
    assert status == 503
    assert "out of order" in reply.json()["error"]["message"]
    assert reply.headers["x-hierrouter-episode-id"]
    with httpx.stream("POST", f"{served.url}/v1/chat/completions", json=QUESTION | {"stream": True}) as stream:
        text = stream.read().decode()
    assert "out of order" in text.splitlines()[-2]
    assert "[DONE]" not in text


def test_a_member_that_is_asked_alone_and_fails_is_one_clear_error(served, servers):
    """Whole, as a stream, and as a stream once its breaker is open; the other member is up all the time."""
    alone = QUESTION | {"model": "m0"}
    servers[0].rule = lambda asked: Reply({"error": {"message": "out of order"}}, status=500)
    for _ in range(2):
        status, _, reply = route(served, **alone)
        assert status == 503
        assert "out of order" in reply.json()["error"]["message"]
    url = f"{served.url}/v1/chat/completions"
    broken = httpx.post(url, json=alone | {"stream": True}, timeout=20)
    assert "out of order" in broken.text.strip().splitlines()[-1]
    assert "[DONE]" not in broken.text
    left_alone = httpx.post(url, json=alone | {"stream": True}, timeout=20)
    assert left_alone.status_code == 503
    assert "circuit breaker is open" in left_alone.json()["error"]["message"]
    assert not servers[1].asked


def test_an_answer_that_is_there_is_given_though_nobody_can_go_on(make_bundle, start, servers):
    router = endpoint_router(servers, make_bundle, horizon=2)
    router.bundle = replace(always(router.bundle, [0, 0]), allow_stop=False)
    served = start(of=router)
    servers[1].stop()
    servers[0].rule = lambda asked: (
        Reply(completion(asked, "first")) if len(servers[0].asked) == 1 else Reply({"error": "gone"}, status=500)
    )
    status, its, reply = route(served)
    assert (status, its) == (200, ["m0"])
    assert reply.json()["choices"][0]["message"]["content"] == "first"
    assert "no model could be called after hop 1" in reply.json()["hierrouter"]["trouble"]


def test_every_hop_is_told_what_the_client_asks_for(served, servers):
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    wanted = {"temperature": 0.7, "max_tokens": 9, "stop": ["END"], "seed": 5, "tools": [tool], "top_p": 0.9}
    wanted |= {"response_format": {"type": "json_object"}, "reasoning_effort": "low"}
    assert route(served, **wanted)[0] == 200
    assert len(servers[0].asked) == 2
    for asked in servers[0].asked:
        assert {name: asked.fields[name] for name in wanted} == wanted
        assert "logprobs" not in asked.fields


def test_a_conversation_reaches_the_members_as_turns(served, servers):
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]
    assert route(served, messages=turns)[0] == 200
    first, second = (asked.fields["messages"] for asked in servers[0].asked)
    assert first == [*turns[:3], {"role": "user", "content": "three\n"}]
    assert second == [*turns[:3], {"role": "user", "content": "three\na says one two three\n"}]


def test_a_call_of_tools_ends_the_route_and_its_result_goes_on(served, servers):
    calls = [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}]

    def call(asked):
        whole = completion(asked, "", "tool_calls")
        whole["choices"][0]["message"]["tool_calls"] = calls
        return Reply(whole)

    servers[0].rule = call
    status, its, reply = route(served)
    assert (status, its) == (200, ["m0"])
    message = reply.json()["choices"][0]["message"]
    assert message["tool_calls"] == calls
    assert reply.json()["choices"][0]["finish_reason"] == "tool_calls"
    servers[0].rule = either(lambda asked: "done")
    turns = [*QUESTION["messages"], message, {"role": "tool", "tool_call_id": "c1", "content": "4"}]
    assert route(served, messages=turns)[:2] == (200, ["m0", "m0"])
    sent = [asked.fields["messages"] for asked in servers[0].asked[-2:]]
    assert [turn["role"] for turn in sent[0]] == ["user", "assistant", "tool"]
    assert [turn["role"] for turn in sent[1]] == ["user", "assistant", "tool", "user"]


def test_retries_are_those_of_collections_up_to_the_servers_own(make_bundle, start, servers):
    router = endpoint_router(servers, make_bundle, horizon=1, retries=3)
    router.bundle = always(router.bundle, [0])
    served = start(of=router, retries=1)
    servers[0].rule = lambda asked: Reply({"error": "busy"}, 503) if asked.turn == 1 else Reply(completion(asked, "ok"))
    assert route(served)[:2] == (200, ["m0"])
    assert len(servers[0].asked) == 2


@pytest.mark.parametrize("pieces", [["aEN", "Db"], ["a", "END", "b"], ["aENDb"], ["a", "E", "N", "D", "b"]])
def test_a_stop_string_ends_a_stream_wherever_it_is_cut(pieces):
    cutter = Cutter(["END", "xyzzy"])
    assert "".join(map(cutter, pieces)) == "a"[: cutter.written]
    assert "".join(pieces)[: cutter.written] in ("", "a")
    plain = Cutter([])
    assert "".join(map(plain, pieces)) == "".join(pieces)


def test_json_of_the_stream_comments_tells_each_hop(served):
    with httpx.stream("POST", f"{served.url}/v1/chat/completions", json=QUESTION | {"stream": True}) as stream:
        comments = [line[2:].partition(" ") for line in stream.iter_lines() if line.startswith(": ")]
    assert [name for name, _, _ in comments] == ["decision", "hop", "decision", "hop"]
    assert [json.loads(text)["model"] for name, _, text in comments if name == "hop"] == ["m0", "m0"]


def test_a_member_that_is_killed_under_load_costs_no_request_its_answer(served, servers):
    """Sixteen clients at once; the member dies in the middle, and comes back."""
    servers[0].rule = either(lambda asked: "a says", 0.02)
    servers[1].rule = either(lambda asked: "b says", 0.02)
    port = servers[0].port

    async def one(client, number):
        await asyncio.sleep(0.02 * number)
        reply = await client.post(f"{served.url}/v1/chat/completions", json=QUESTION)
        return reply.status_code, reply.json().get("hierrouter", {}).get("route")

    async def load():
        async with httpx.AsyncClient(timeout=30) as client:
            tasks = [asyncio.create_task(one(client, number)) for number in range(120)]
            await asyncio.sleep(0.5)
            await asyncio.to_thread(servers[0].stop)
            await asyncio.sleep(0.7)
            servers[0].start(port)
            return await asyncio.gather(*tasks)

    answers = asyncio.run(load())
    assert {status for status, _ in answers} == {200}
    assert any("m1" in its for _, its in answers)
    deadline = time.monotonic() + 5
    while route(served)[1] != ["m0", "m0"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_pool_of_endpoints_alone_loads_no_torch(served, tmp_path):
    """Of weights that run elsewhere this process needs nothing."""
    pool = {"name": "m", "kind": "openai", "chat": True, "max_new_tokens": 9, "base_rate": 1.0}
    pool["endpoint"] = {"base_url": f"{served.url}/v1", "model": "auto"}
    (tmp_path / "pool.json").write_text(json.dumps({"models": [pool]}))
    code = f"""if True:
        import sys
        from pathlib import Path
        from hierrouter_jax.bridge.backends import load_backends
        from hierrouter_jax.bridge.pool import load_pool
        from hierrouter_jax.serve.server import run_server
        load_backends(load_pool(Path({str(tmp_path / "pool.json")!r})))
        print([name for name in ("torch", "transformers", "sklearn", "pandas", "jax") if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
