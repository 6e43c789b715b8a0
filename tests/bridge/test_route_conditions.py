"""Live routes under a cost weight and a hard budget: never over it, and those of the table."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from hierrouter_jax.bridge.backends import Backend, load_backends
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import collect
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.bridge.route import Transcript, route
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.table import OutcomeTable

HORIZON = 4
CONDITIONS = {"cost_weight": [0.001, 0.3], "budget": [0.5, 16.0]}
SMALLEST = 28 + 60 * 2  # the speller reads the longest query, 27 characters and a line break, and may write 60


@dataclass(frozen=True)
class Spendthrift(PolicyBundle):
    """Always calls the dearest model that it may, and stops only where it must."""

    def logits(self, *arguments):
        logits = super().logits(*arguments)
        return np.where(np.isfinite(logits), -np.arange(logits.shape[1]), -np.inf)


@pytest.fixture
def table(queries, backends, encoder) -> OutcomeTable:
    tree = HopTree(len(backends), HORIZON)
    return collect(
        queries, backends, tree, encoder, HopPrompt(), one_by_one(exact_match), CallCache(None), progress=False
    )


@pytest.fixture
def bundle(backends, make_bundle) -> PolicyBundle:
    return make_bundle([backend.price for backend in backends], HORIZON, CONDITIONS)


def table_route(
    bundle: PolicyBundle, table: OutcomeTable, row: int, cost_weight: float | None, budget: float
) -> tuple[tuple[int, ...], bool]:
    """The models that the policy calls on the table, and whether it stops."""
    assert table.charge is not None
    node, cost = 0, 0.0
    for stage in range(HORIZON):
        charges = table.charge[[row]][:, table.tree.child(node, np.arange(table.tree.num_models))]
        embedding, spent = table.context_embedding[[row], node], np.array([cost])
        action = int(bundle.act(embedding, stage, spent, cost_weight, np.array([budget]), charges)[0][0])
        if action == table.tree.num_models:
            return table.tree.route(node), True
        node = table.tree.child(node, action)
        cost += table.cost[row, node]
    return table.tree.route(node), False


def models(transcript: Transcript, backends: Sequence[Backend]) -> tuple[int, ...]:
    names = [backend.name for backend in backends]
    return tuple(names.index(hop.model) for hop in transcript.hops)


@pytest.mark.parametrize("budget", [SMALLEST, 200, 300, 431.5, 600, 900, 1500.0, 1e9])
@pytest.mark.parametrize("allow_stop", [True, False])
@pytest.mark.parametrize("policy", [PolicyBundle, Spendthrift])
def test_no_route_passes_its_budget_and_each_is_the_tables(
    bundle, table, queries, backends, encoder, budget, policy, allow_stop
):
    bundle = policy(**{**vars(bundle), "allow_stop": allow_stop})
    live = route(queries, bundle, backends, encoder, HopPrompt(), progress=False, cost_weight=0.1, budget=budget)
    for row, transcript in enumerate(live):
        assert transcript.hops
        assert transcript.cost <= budget
        assert (models(transcript, backends), transcript.stopped) == table_route(bundle, table, row, 0.1, budget)
        assert json.loads(json.dumps(transcript.to_dict()))["budget"] == budget


def test_budgets_bite(bundle, queries, backends, encoder):
    """A spendthrift's routes grow dearer with its budget, until the horizon ends them."""
    spendthrift, costs, stopped = Spendthrift(**vars(bundle)), [], []
    for budget in (SMALLEST, 300, 500, 700, 1e9):
        live = route(queries, spendthrift, backends, encoder, HopPrompt(), progress=False, budget=budget)
        costs.append(sum(transcript.cost for transcript in live))
        stopped.append(sum(transcript.stopped for transcript in live))
    assert costs == sorted(set(costs))
    assert (stopped[0], stopped[-1]) == (len(queries), 0)
    at_least = route(queries, bundle, backends, encoder, HopPrompt(), progress=False, budget=SMALLEST)
    assert {models(transcript, backends) for transcript in at_least} == {(2,)}  # nothing else can be paid


def test_a_budget_that_pays_for_no_first_call_is_refused_before_any(bundle, queries, backends, encoder):
    words = (
        rf"a budget of 14\d.* price units pays for no first call of query 'q2'; "
        rf"the smallest that does is {SMALLEST}\.0 price units$"
    )
    for budget in (140, np.nextafter(SMALLEST, 0)):
        with pytest.raises(InputError, match=words):
            route(queries, bundle, backends, encoder, HopPrompt(), progress=False, budget=budget)
    for budget in (0, -1, float("nan")):
        with pytest.raises(InputError, match="pays for no first call"):
            route(queries, bundle, backends, encoder, HopPrompt(), progress=False, budget=budget)
    assert not any(backend.asked for backend in backends)
    assert route([], bundle, backends, encoder, HopPrompt(), progress=False, budget=0) == []


def test_under_a_budget_a_model_whose_window_is_too_narrow_cannot_be_called(bundle, queries, backends, encoder):
    """The dearest model takes no query at all, and nobody the longest of them."""
    for backend, room in zip(backends, (5, 200, 200), strict=True):
        backend.positions = backend.max_new_tokens + room
    bundle, long = Spendthrift(**vars(bundle)), replace(queries[0], id="long", text="1" * 300)
    live = route([*queries, long], bundle, backends, encoder, HopPrompt(), progress=False, budget=1e9)
    assert {models(transcript, backends) for transcript in live[:-1]} == {(1,) * HORIZON}
    assert [transcript.failed for transcript in live[:-1]] == [""] * len(queries)
    assert (live[-1].hops, live[-1].stopped) == ((), False)
    assert live[-1].failed.startswith("it fits no model; model 'reader': a prompt of 301 tokens without earlier")
    with pytest.raises(InputError, match="it fits no model; model 'reader'"):
        route([long], bundle, backends, encoder, HopPrompt(), progress=False, budget=1e9)


def test_the_cost_weight_is_the_runs_own_unless_told(bundle, queries, backends, encoder):
    def routes(policy: PolicyBundle, **told: float) -> list[tuple[int, ...]]:
        live = route(queries, policy, backends, encoder, HopPrompt(), progress=False, **told)
        return [models(transcript, backends) for transcript in live]

    assert routes(bundle) == routes(bundle, cost_weight=0.02)
    assert routes(replace(bundle, cost_weight=0.3)) == routes(bundle, cost_weight=0.3)
    assert routes(bundle, cost_weight=0.0) == routes(bundle, cost_weight=0.001)  # the nearest that it was trained for
    assert routes(bundle, cost_weight=0.001) != routes(bundle, cost_weight=0.3)


@pytest.mark.parametrize(
    ("conditions", "told", "words"),
    [
        ({}, {"budget": 500.0}, "a budget is given, but the policy was not trained to be told one"),
        ({}, {"cost_weight": 0.1}, "a cost weight is given, but the policy was not trained to be told one"),
        (CONDITIONS, {"cost_weight": -1.0}, "the cost weight is -1.0, but must be a number of at least 0"),
        (CONDITIONS, {"cost_weight": float("nan")}, "the cost weight is nan"),
    ],
)
def test_what_the_policy_was_not_trained_for_is_refused(
    make_bundle, queries, backends, encoder, conditions, told, words
):
    bundle = make_bundle([backend.price for backend in backends], HORIZON, conditions)
    with pytest.raises(InputError, match=words):
        route(queries, bundle, backends, encoder, HopPrompt(), progress=False, **told)
    assert not any(backend.asked for backend in backends)


def test_limits_are_the_policys_under_a_budget(bundle, queries, backends, encoder):
    backends[1].max_new_tokens = 70
    with pytest.raises(InputError, match="'calculator': max_new_tokens is 60 in the policy, but 70 in the pool"):
        route(queries, bundle, backends, encoder, HopPrompt(), progress=False, budget=900)
    assert route(queries, bundle, backends, encoder, HopPrompt(), progress=False)[0].budget is None


def test_real_models_stay_within_their_budgets(model_folder, make_bundle, queries, encoder):
    pool = [("llama", 2.0, 0.5), ("mistral", 1.0, 3.0)]
    configs = tuple(ModelConfig(name, str(model_folder(name)), 12, price_in=i, price_out=o) for name, i, o in pool)
    backends = load_backends(PoolConfig(configs))
    bundle = make_bundle([backend.price for backend in backends], 3, CONDITIONS, seed=1)
    smallest = 28 * 2.0 + 12 * 0.5  # the first model reads the longest query
    hops = []
    for budget in (smallest, 100.0, 150.0, 250.0, 500.0):
        live = route(queries, bundle, backends, encoder, HopPrompt(), progress=False, budget=budget)
        assert max(transcript.cost for transcript in live) <= budget
        hops.append(sum(len(transcript.hops) for transcript in live))
    assert hops[0] == len(queries) < hops[-1]
    with pytest.raises(InputError, match=f"the smallest that does is {smallest} price units"):
        route(queries, bundle, backends, encoder, HopPrompt(), progress=False, budget=smallest - 0.5)
