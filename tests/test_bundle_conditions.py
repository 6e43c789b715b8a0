"""Bundles of conditioned policies: what leaves the learning wing sees and may do what it did inside."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.bundle import HEADER, PolicyBundle
from hierrouter_jax.envs.routing import decision_masks
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.tree_policy import decision_logits
from hierrouter_jax.files import read_json, write_json
from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.policies.conditions import Conditions
from hierrouter_jax.policies.network import build_network
from tests.conditioned import priced_table, random_router

BOTH = {"cost_conditioned": True, "budgeted": True}
QUERIES, GROUP = 800, 100  # a cost weight for every group of queries


@pytest.fixture(scope="module")
def table():
    return priced_table(queries=QUERIES)


@pytest.fixture
def saved(table, tmp_path):
    random_router(table, **BOTH).bundle(table).save(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("static", "allow_stop"),
    [({}, True), ({"cost_conditioned": True}, False), ({"budgeted": True}, False), (BOTH, True)],
    ids=["plain", "cost-conditioned", "budgeted", "both"],
)
def test_numpy_and_jax_agree_on_ten_thousand_states(table, tmp_path, static, allow_stop):
    """800 queries x 13 decision nodes under random cost weights and budgets, some of them out of range."""
    router = random_router(table, **static, allow_stop=allow_stop)
    router.bundle(table).save(tmp_path)
    bundle = PolicyBundle.load(tmp_path)
    device, call = router.features.on_device(table), router.features.cost_normaliser
    rng = np.random.default_rng(1)
    weights = np.exp(rng.uniform(np.log(1e-4), np.log(1.0), QUERIES // GROUP))
    budgets = np.where(rng.random(QUERIES) < 0.1, np.inf, call * np.exp(rng.uniform(-2, 3, QUERIES)))
    told = Conditions(
        cost_weight=jnp.asarray(weights.repeat(GROUP), jnp.float32) if "cost_conditioned" in static else None,
        budget=jnp.asarray(budgets / call, jnp.float32) if "budgeted" in static else None,
    )
    network, params = build_network(device, router.static), router.params(0)
    with jax.default_matmul_precision("highest"):
        logits = decision_logits(network, params, device, told, router.hyper.ranges)
    expected = np.asarray(jnp.where(decision_masks(device, allow_stop, told.budget), logits, -jnp.inf))
    spent, states = accumulate_cost(table.cost, table.tree), 0
    for group, node in np.ndindex(QUERIES // GROUP, table.tree.num_decision_nodes):
        rows = slice(group * GROUP, (group + 1) * GROUP)
        children = table.tree.child(node, np.arange(table.tree.num_models))
        seen = table.context_embedding[rows, node], int(table.tree.stages[node]), spent[rows, node]
        limits = (budgets[rows], table.charge[rows, children]) if "budgeted" in static else (None, None)
        arguments = *seen, weights[group] if "cost_conditioned" in static else None, *limits
        np.testing.assert_allclose(bundle.logits(*arguments), expected[rows, node], atol=1e-5, rtol=1e-5)
        assert (bundle.act(*arguments)[0] == expected[rows, node].argmax(axis=1)).all()
        states += GROUP
    assert states > 10_000
    if "budgeted" in static:  # budgets ruled out some models at most states, and at the root even all of some queries
        assert 0.2 < np.isinf(expected[..., :-1]).mean() < 0.8
        assert 0 < np.isfinite(expected[:, 0, -1]).mean() < 0.5


def test_unconditioned_rows_without_limit_equal_unlimited_budgets(table):
    bundle = random_router(table, budgeted=True).bundle(table)
    rows = table.context_embedding[:, 2], 1, table.cost[:, 2]
    unlimited = np.full(QUERIES, np.inf), table.charge[:, 7:10]
    np.testing.assert_array_equal(bundle.logits(*rows), bundle.logits(*rows, None, *unlimited))


def test_conditions_survive_the_disk(table, saved):
    bundle = PolicyBundle.load(saved)
    assert bundle.conditions == {"cost_weight": [0.001, 0.3], "budget": [0.5, 8.0]}
    assert bundle.cost_weight == 0.02
    assert bundle.pool == table.pool


def test_an_older_bundle_is_unconditioned(table, tmp_path):
    router = random_router(table)
    router.bundle(table).save(tmp_path)
    header = read_json(tmp_path / HEADER)
    write_json(
        tmp_path / HEADER, {key: value for key, value in header.items() if key not in ("conditions", "cost_weight")}
    )
    bundle = PolicyBundle.load(tmp_path)
    assert (bundle.conditions, bundle.cost_weight) == ({}, None)
    root = table.context_embedding[:, 0], 0, np.zeros(QUERIES)
    np.testing.assert_array_equal(bundle.logits(*root), router.bundle(table).logits(*root))
    with pytest.raises(InputError, match=r"a budget is given.*--train\.static\.budgeted true"):
        bundle.logits(*root, None, np.ones(QUERIES), table.charge[:, 1:4])
    with pytest.raises(InputError, match=r"a cost weight is given.*--train\.static\.cost_conditioned true"):
        bundle.logits(*root, 0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conditions": {}}, r"hidden_0/kernel of the policy has shape \(13, 16\), but must be \(11, 16\)"),
        ({"conditions": {"mood": [0, 1]}}, "conditioned on 'mood', which this version does not know"),
        ({"conditions": {"cost_weight": [0.3, 0.1]}}, r"cost_weight of the policy ranges over \[0.3, 0.1\]"),
        ({"conditions": {"budget": [0, 0.1]}}, r"budget of the policy ranges over \[0.0, 0.1\], but must over 0 < low"),
        ({"conditions": {"budget": 1}}, "conditions.budget is 1, but must be a list"),
        ({"cost_weight": None}, "the run's own is missing"),
    ],
)
def test_spoiled_conditions_are_named(saved, changes, message):
    write_json(saved / HEADER, read_json(saved / HEADER) | changes)
    with pytest.raises(InputError, match=message):
        PolicyBundle.load(saved)


def test_a_budget_without_charges_is_refused(table, saved):
    with pytest.raises(InputError, match="without the largest charge of each model"):
        PolicyBundle.load(saved).act(table.context_embedding[:, 0], 0, np.zeros(QUERIES), None, np.ones(QUERIES))


@pytest.mark.parametrize("weight", [-0.5, -1e-9, np.inf, np.nan])
def test_a_cost_weight_that_is_no_number_of_at_least_0_is_refused(table, saved, weight):
    bundle = PolicyBundle.load(saved)
    bundle.check_told(0.0, None)
    with pytest.raises(InputError, match=f"the cost weight is {weight}, but must be a number of at least 0"):
        bundle.check_told(weight, None)
