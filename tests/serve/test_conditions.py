"""What a conditioned policy is told by a request is what `route` tells it."""

from dataclasses import replace

import httpx
import pytest

from hierrouter_jax.bridge.backends import Failure
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.errors import InputError
from hierrouter_jax.serve.router import Router

CHAT = "/v1/chat/completions"


@pytest.fixture
def router(backends, make_bundle, encoder):
    conditions = {"cost_weight": [0.001, 1.0], "budget": [0.1, 9.0]}
    bundle = make_bundle([backend.price for backend in backends], 4, conditions)
    return Router(bundle, backends, encoder, HopPrompt())


def ask(served, text, headers=None, **conditions):
    body = {"messages": [{"role": "user", "content": text}], "hierrouter": conditions}
    return httpx.post(f"{served.url}{CHAT}", json=body, headers=headers or {}, timeout=20)


@pytest.mark.parametrize(
    "conditions", [{"cost_weight": 0.9}, {"budget": 500.0}, {"budget": 900.0, "cost_weight": 0.01}]
)
def test_routes_under_conditions(start, router, queries, conditions):
    served = start()
    texts = [f"{query.text}{' Now.' * number}" for query in queries for number in range(3)]
    mine = router.route_many(texts, progress=False, **conditions)
    for text, transcript in zip(texts, mine, strict=True):
        its = ask(served, text, **conditions).json()["hierrouter"]
        assert (its["route"], its["stopped"]) == (list(transcript.route), transcript.stopped)
        assert its["cost"] <= conditions.get("budget", float("inf"))
        header = {f"x-hierrouter-{name.replace('_', '-')}": str(value) for name, value in conditions.items()}
        assert ask(served, text, header).json()["hierrouter"]["route"] == its["route"]


def test_a_budget_that_pays_for_nothing_names_the_smallest_that_does(start, queries):
    reply = ask(start(), queries[0].text, budget=1.0)
    assert reply.status_code == 400
    assert "the smallest that does is" in reply.json()["error"]["message"]


def test_a_budget_for_a_member_that_is_down_is_no_fault_of_the_request(start, backends, queries):
    """It pays for the cheapest member alone: as long as that fails, and once its breaker is open."""
    cheapest = backends[2]
    charge = cheapest.price.cost(len(queries[0].text) + 1, cheapest.max_new_tokens)
    cheapest.generate = lambda prompts: [Failure("away for tea", "away")] * len(prompts)
    served = start()
    for words in ("away for tea",) * 3 + ("circuit breaker is open",):
        reply = ask(served, queries[0].text, budget=charge)
        assert reply.status_code == 503
        assert words in reply.json()["error"]["message"]
    reply = ask(served, queries[0].text, budget=charge - 1)
    assert reply.status_code == 400
    assert f"no first call of this request; the smallest that does is {charge}" in reply.json()["error"]["message"]


def test_a_session_spends_one_budget(start, queries):
    served = start()
    session = {"x-session-id": "s"}
    first = ask(served, queries[0].text, session, session_budget=1000.0).json()["hierrouter"]
    spent = first["cost"]
    while (reply := ask(served, queries[0].text, session)).status_code == 200:
        assert reply.json()["hierrouter"]["cost"] <= 1000.0 - spent
        spent += reply.json()["hierrouter"]["cost"]
    assert spent <= 1000.0
    assert "budget" in reply.json()["error"]["message"]
    assert ask(served, queries[0].text, {"x-session-id": "other"}).status_code == 200
    assert "names no session" in ask(served, queries[0].text, session_budget=5.0).json()["error"]["message"]


def test_a_hop_after_which_the_budget_pays_for_none_is_streamed(start, router, queries):
    """The smallest budget that pays for a first call leaves no second one: this is known before the call."""
    served = start()
    message = ask(served, queries[0].text, budget=1.0).json()["error"]["message"]
    budget = float(message.split("is ")[-1].split()[0])
    body = {
        "messages": [{"role": "user", "content": queries[0].text}],
        "hierrouter": {"budget": budget},
        "stream": True,
    }
    with httpx.stream("POST", f"{served.url}{CHAT}", json=body) as stream:
        lines = [line for line in stream.iter_lines() if line]
    comments = [number for number, line in enumerate(lines) if line.startswith(": hop")]
    pieces = [number for number, line in enumerate(lines) if '"content"' in line and '"content": ""' not in line]
    assert pieces[0] < comments[0]  # the text comes before the hop is over


def test_a_budgeted_policy_is_not_served_with_other_limits_than_it_was_trained_with(
    start, router, backends, make_bundle, encoder, tmp_path
):
    served = start()
    first, *others = router.bundle.pool
    replace(router.bundle, pool=(replace(first, max_new_tokens=50), *others)).save(tmp_path / "policy")
    reply = httpx.post(f"{served.url}/admin/reload")
    assert reply.status_code == 400
    assert "'reader': max_new_tokens is 50 in the policy, but 60 in the pool" in reply.json()["error"]["message"]
    assert served.service.fingerprint == router.bundle.fingerprint
    backends[1].max_new_tokens = 70
    with pytest.raises(InputError, match="'calculator': max_new_tokens is 60 in the policy, but 70 in the pool"):
        Router(router.bundle, backends, encoder, HopPrompt())
    free = make_bundle(router.bundle.pool, 4, {"cost_weight": [0.001, 1.0]})
    assert Router(free, backends, encoder, HopPrompt()).bundle is free  # which no request can give a budget
