"""The last hop is streamed as its member writes it; a client that leaves stops the member."""

import time
from itertools import pairwise

import httpx
import openai
import pytest

from tests.bridge.endpoints import FakeServer, Reply, chunks, either
from tests.serve.pools import always, endpoint_router


@pytest.fixture
def servers():
    fakes = [FakeServer(either(lambda asked, name=name: f"{name} says one two three", 0.1)) for name in "ab"]
    yield fakes
    for fake in fakes:
        fake.stop()


@pytest.fixture
def served(servers, make_bundle, start):
    router = endpoint_router(servers, make_bundle)
    router.bundle = always(router.bundle, [0, 1, 0])
    return start(of=router)


def test_words_of_the_last_hop_come_one_by_one(served, servers):
    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)
    chunks, times = [], []
    for chunk in client.chat.completions.create(
        model="hierrouter", messages=[{"role": "user", "content": "q"}], stream=True
    ):
        if chunk.choices[0].delta.content:
            chunks.append(chunk.choices[0].delta.content)
            times.append(time.monotonic())
    assert chunks == ["a ", "says ", "one ", "two ", "three"]
    assert all(later - before > 0.05 for before, later in pairwise(times))
    assert [len(server.asked) for server in servers] == [2, 1]
    assert [bool(asked.fields.get("stream")) for asked in servers[0].asked] == [False, True]


def test_a_client_that_leaves_stops_the_member(served, servers):
    body = {"model": "a", "stream": True, "messages": [{"role": "user", "content": "q"}]}
    body["model"] = "m0"
    with httpx.stream("POST", f"{served.url}/v1/chat/completions", json=body) as reply:
        for line in reply.iter_lines():
            if "says" in line:
                break
    deadline = time.monotonic() + 3
    while not servers[0].left and time.monotonic() < deadline:
        time.sleep(0.02)
    assert servers[0].left == 1
    assert served.service.gate.under_way == 0


def test_a_client_that_leaves_before_a_whole_answer_ends_the_request(served, servers):
    servers[0].rule = either(lambda asked: "one two three", 1.0)
    body = {"model": "m0", "messages": [{"role": "user", "content": "q"}]}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{served.url}/v1/chat/completions", json=body, timeout=0.3)
    deadline = time.monotonic() + 2
    while served.service.gate.under_way and time.monotonic() < deadline:
        time.sleep(0.02)
    assert served.service.gate.under_way == 0  # two seconds before the member would have answered


def test_a_client_that_leaves_after_the_first_hop_has_no_answer(served, servers):
    servers[0].rule, servers[1].rule = either(lambda asked: "a"), either(lambda asked: "one two three", 1.0)
    url = f"{served.url}/v1/chat/completions"
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, json={"messages": [{"role": "user", "content": "q"}]}, timeout=0.6)
    deadline = time.monotonic() + 5
    while "hierrouter_requests_total{" not in (page := httpx.get(f"{served.url}/metrics").text):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [line for line in page.splitlines() if line.startswith("hierrouter_requests_total{")] == [
        'hierrouter_requests_total{path="/v1/chat/completions",status="499"} 1.0'
    ]
    assert 'hierrouter_hops_total{member="m0"} 1.0' in page


def test_a_member_that_breaks_off_ends_the_stream_with_an_error(served, servers):
    def broken(asked):
        return Reply(events=[*list(chunks(asked, "one two three"))[:2], b"data: {not json}\n\n"])

    servers[0].rule = broken
    body = {"model": "m0", "stream": True, "messages": [{"role": "user", "content": "q"}]}
    with httpx.stream("POST", f"{served.url}/v1/chat/completions", json=body, timeout=20) as stream:
        text = stream.read().decode()
    assert '"content": "one "' in text
    assert "broke off" in text.strip().splitlines()[-1]
    assert "[DONE]" not in text
