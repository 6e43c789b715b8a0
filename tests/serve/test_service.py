"""The decision log, feedback, exploration, reloading and the end of a server."""

import asyncio
import errno
import threading
import time

import httpx
import numpy as np
import pytest

from hierrouter_jax.bridge.backends import Failure
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.errors import InputError, reason_of
from hierrouter_jax.outcomes.decision_log import LogWriter, propensity_check, read_log, replay
from hierrouter_jax.serve import chat
from hierrouter_jax.serve.router import Router
from hierrouter_jax.serve.server import Server
from hierrouter_jax.serve.service import Running, Service, open_log
from hierrouter_jax.serve.settings import ServeConfig
from tests.bridge.conftest import ProgrammedBackend
from tests.bridge.endpoints import FakeServer, either
from tests.serve.pools import always, endpoint_router

CHAT = "/v1/chat/completions"


def ask(served, text, **changes):
    body = {"messages": [{"role": "user", "content": text}]} | changes
    return httpx.post(f"{served.url}{CHAT}", json=body, timeout=20)


def test_the_log_holds_every_decision_and_what_the_policy_read(start, tmp_path, queries):
    served = start(log=tmp_path / "log", log_text=True)
    replies = [ask(served, query.text).json()["hierrouter"] for query in queries]
    first = replies[0]["episode_id"]
    assert httpx.post(f"{served.url}/v1/feedback", json={"episode_id": first, "quality": 0.5}).json()["logged"]
    forgotten = httpx.delete(f"{served.url}/v1/episodes/{replies[1]['episode_id']}").json()
    assert forgotten["decisions"] == len(replies[1]["hops"]) + replies[1]["stopped"]
    served.service.log.close()
    log = read_log(tmp_path / "log")
    rows = log.rows.to_pylist()
    expected = sum(len(reply["hops"]) + reply["stopped"] for reply in replies) - forgotten["decisions"]
    assert len(rows) == expected
    mine = [row for row in rows if row["episode_id"] == first]
    assert {row["quality"] for row in mine} == {0.5}
    assert [row["end"] for row in mine][-1] == ("stop" if replies[0]["stopped"] else "horizon")
    assert [row["candidates"][row["action"]] for row in mine if row["action"] < 3] == replies[0]["route"]
    assert [row["response"] for row in mine if row["action"] < 3] == [hop["response"] for hop in replies[0]["hops"]]
    for row in mine:
        assert row["question"] == queries[0].text
        assert row["propensity"] == 1.0
        bundle = served.router.bundle
        logits = bundle.logits(np.array([row["embedding"]], np.float32), row["stage"], np.array([row["spent"]]))
        assert int(logits.argmax()) == row["action"]


def test_without_a_log_feedback_says_how_to_have_one(start):
    reply = httpx.post(f"{start().url}/v1/feedback", json={"episode_id": "x", "quality": 1})
    assert reply.status_code == 409
    assert "--log" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), InputError("part-00000007.parquet: not a Parquet file")],
)
def test_a_log_that_cannot_be_rewritten_says_so(start, tmp_path, error):
    served = start(log=tmp_path / "log")

    def failing(_):
        raise error

    served.service.log.forget = failing
    reply = httpx.delete(f"{served.url}/v1/episodes/x")
    assert reply.status_code == 503
    assert reason_of(error) in reply.json()["error"]["message"]


def test_a_log_that_cannot_be_kept_is_refused_before_the_server_begins(router, tmp_path):
    with LogWriter(tmp_path / "held"), pytest.raises(InputError, match="is being written"):
        Server(ServeConfig(log=tmp_path / "held"), router, None)
    with pytest.raises(InputError, match="log_bytes is too small"):
        Server(ServeConfig(log=tmp_path / "log", log_bytes=1_000_000), router, None)
    (tmp_path / "link").symlink_to(tmp_path / "gone" / "log")
    with pytest.raises(InputError, match="link"):
        Server(ServeConfig(log=tmp_path / "link"), router, None)


def test_exploration_draws_with_the_probabilities_that_it_tells(start):
    served = start(explore="softmax:2.0", seed=3)
    hops = [ask(served, "Compute 12+7-5. In digits.").json()["hierrouter"]["hops"][0] for _ in range(25)]
    assert len({hop["model"] for hop in hops}) > 1
    assert all(0 < hop["propensity"] < 1 for hop in hops)


def test_the_decision_calls_nothing(start, backends):
    served = start()
    body = {"messages": [{"role": "user", "content": "Compute 12+7-5. In digits."}]}
    decision = httpx.post(f"{served.url}/v1/decision", json=body).json()
    assert not any(backend.asked for backend in backends)
    assert sum(decision["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert decision["mean_charge"] == {}
    price = {backend.name: backend.price for backend in backends}
    prompt = len("Compute 12+7-5. In digits.") + 1
    assert decision["largest_charge"] == {name: its.cost(prompt, 60) for name, its in price.items()}
    hop = ask(served, "Compute 12+7-5. In digits.").json()["hierrouter"]["hops"][0]
    assert hop["model"] == decision["action"]
    assert decision["action"] in httpx.post(f"{served.url}/v1/decision", json=body).json()["mean_charge"]


def test_a_reload_serves_the_new_policy_and_keeps_the_old_one_for_who_began_with_it(make_bundle, start, tmp_path):
    server = FakeServer(either(lambda asked: "one two three", 0.1))
    router = endpoint_router([server, server], make_bundle, horizon=2)
    old, new = always(router.bundle, [0, 0]), always(router.bundle, [1, 2])
    router.bundle = old
    served = start(of=router)
    replies = []
    thread = threading.Thread(target=lambda: replies.append(ask(served, "q").json()["hierrouter"]["route"]))
    thread.start()
    while served.service.gate.under_way == 0:
        time.sleep(0.01)
    new.save(tmp_path / "policy")
    assert httpx.post(f"{served.url}/admin/reload").json()["policy"] == new.fingerprint
    assert ask(served, "q").json()["hierrouter"]["route"] == ["m1"]
    thread.join()
    assert replies == [["m0", "m0"]]
    (tmp_path / "policy" / "policy.json").write_text("{}")
    assert httpx.post(f"{served.url}/admin/reload").status_code == 400
    assert ask(served, "q").json()["hierrouter"]["route"] == ["m1"]
    server.stop()


def test_requests_under_way_end_when_the_server_does(make_bundle, start):
    server = FakeServer(either(lambda asked: "one two three four five", 0.1))
    router = endpoint_router([server], make_bundle, horizon=1)
    router.bundle = always(router.bundle, [0])
    served = start(of=router)
    replies = []
    thread = threading.Thread(target=lambda: replies.append(ask(served, "q")))
    thread.start()
    while served.service.gate.under_way == 0:
        time.sleep(0.01)
    served.server.should_exit = True
    thread.join()
    assert replies[0].status_code == 200
    server.stop()


def test_what_is_given_up_at_the_end_is_in_the_log(router, backends, tmp_path):
    """A call under way at the end of the drain: the request is unwound before the log is closed, and its events end."""
    go_on = threading.Event()
    for backend in backends:
        backend.generate = lambda prompts: go_on.wait(20) and [Failure("late")] * len(prompts)

    async def serve_and_end():
        config = ServeConfig(log=tmp_path / "log")
        service = Service(config, router, open_log(config))
        body = chat.Request(messages=[chat.Message(role="user", content="Compute 12+7-5. In digits.")])
        running = Running(service, service.ask(body, {}))
        while not running.episode.choices:
            await asyncio.sleep(0.001)
        await service.close()
        go_on.set()
        await running.begun()
        events = [event async for event in running.events()]
        return running, events, service

    running, events, service = asyncio.run(serve_and_end())
    (row,) = read_log(tmp_path / "log").rows.to_pylist()
    assert (row["episode_id"], row["end"]) == (running.episode.ask.id, "cancelled")
    assert events == running.episode.choices
    assert running.trouble is not None
    assert running.trouble.status_code == 499
    assert (service.running, service.gate.under_way) == (set(), 0)


def test_the_end_is_seen_where_nothing_happened_before_it(router):
    async def end_at_once():
        service = Service(ServeConfig(), router)
        body = chat.Request(messages=[chat.Message(role="user", content="Compute 12+7-5. In digits.")])
        running = Running(service, service.ask(body, {}))
        await asyncio.sleep(0)
        await running.cancel()  # before its first decision
        await running.begun()
        async with asyncio.timeout(5):
            return [event async for event in running.events()]

    assert asyncio.run(end_at_once()) == []


def test_metrics_count_requests_hops_and_tokens(start, queries):
    served = start()
    hops = [hop for query in queries for hop in ask(served, query.text).json()["hierrouter"]["hops"]]
    ask(served, " ")
    text = httpx.get(f"{served.url}/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(lines[f'hierrouter_requests_total{{path="{CHAT}",status="200"}}']) == len(queries)
    assert float(lines[f'hierrouter_requests_total{{path="{CHAT}",status="400"}}']) == 1
    for name in {hop["model"] for hop in hops}:
        mine = [hop for hop in hops if hop["model"] == name]
        assert float(lines[f'hierrouter_hops_total{{member="{name}"}}']) == len(mine)
        assert float(lines[f'hierrouter_tokens_out_total{{member="{name}"}}']) == sum(h["tokens_out"] for h in mine)
    assert float(lines["hierrouter_requests_under_way"]) == 0


@pytest.mark.parametrize("explore", ["none", "softmax:3.0", "epsilon:0.4"])
def test_a_served_log_is_replayed_to_the_same_distributions(start, make_bundle, encoder, tmp_path, queries, explore):
    """Under budgets, cost weights and failing members: everything that the policy read is in the log."""
    rules = {"one": lambda prompt: "1", "two": lambda prompt: "2 2", "three": lambda prompt: "3 3 3"}
    members = [
        ProgrammedBackend(name, rule, price) for (name, rule), price in zip(rules.items(), (3, 2, 1), strict=True)
    ]
    answer, calls = members[1].generate, []

    def sometimes(prompts):
        calls.append(1)
        return [Failure("not now") if len(calls) % 3 == 0 else made for made in answer(prompts)]

    members[1].generate = sometimes
    bundle = make_bundle([member.price for member in members], 4, {"cost_weight": [0.001, 1.0], "budget": [0.1, 9.0]})
    served = start(of=Router(bundle, members, encoder, HopPrompt()), log=tmp_path / "log", explore=explore, seed=1)
    decisions = 0
    with httpx.Client(timeout=20) as client:
        for number in range(60):
            told = {"cost_weight": [0.01, 0.7][number % 2]} | ({"budget": 900.0} if number % 3 else {})
            turns = [{"role": "user", "content": f"{queries[number % 4].text} {number}"}]
            body = {"messages": turns, "hierrouter": told}
            its = client.post(f"{served.url}{CHAT}", json=body).json()["hierrouter"]
            decisions += len(its["hops"]) + its["stopped"]
    served.service.log.close()
    log = read_log(tmp_path / "log")
    assert len(log) == decisions > 100
    np.testing.assert_allclose(replay(log, bundle), log.matrix("probs"), atol=1e-6)
    failed = [call for calls in log.rows["failed"].to_pylist() for call in calls]
    assert {call["model"] for call in failed} <= {"two"}
    if explore != "none":
        assert failed
        assert (log.column("propensity") < 1).any()
        probs, action = log.draws()
        assert propensity_check(probs, action).p_value > 0.001
