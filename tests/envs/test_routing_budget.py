"""Hard budgets: what they allow by hand, that no episode passes one, and that they fit the exact evaluation."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierrouter_jax.envs import routing
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.envs.routing import decision_masks
from hierrouter_jax.envs.types import DeviceTable, RoutingState, device_table
from hierrouter_jax.evaluation.exact import expected_return, optimal_action_values
from hierrouter_jax.outcomes.pricing import accumulate_cost
from tests.conditioned import priced_table
from tests.tables import random_table

WEIGHTS = RewardWeights(terminal_quality=1.0, hop_cost=0.05, quality_gain=0.3, damage=0.2)
NORMALISER = 2.0


def on_device(table) -> DeviceTable:
    return device_table(table, table.context_embedding, NORMALISER)


@pytest.fixture
def by_hand() -> DeviceTable:
    """One query, two models, two hops; nodes 1 and 2 are the first calls, 3 and 4 follow node 1, 5 and 6 node 2."""
    return on_device(priced_table(queries=1, models=2, horizon=2)).replace(
        cost=jnp.array([[0.0, 1.0, 2.0, 1.0, 2.0, 1.5, 3.0]]),
        spent=jnp.array([[0.0, 1.0, 2.0, 2.0, 3.0, 3.5, 5.0]]),
        charge=jnp.array([[0.0, 1.5, 3.0, 2.0, 4.0, 2.0, 4.0]]),
        quality=jnp.array([[0.0, 0.5, 0.25, 1.0, 0.0, 1.0, 1.0]]),
    )


@pytest.mark.parametrize(
    ("budget", "node", "legal"),
    [
        (1.4, 0, "stop"),  # nothing can be paid: STOP, without an answer
        (1.5, 0, "0"),  # a charge of just the budget is allowed
        (1.5, 1, "stop"),
        (2.9, 0, "0"),
        (3.0, 0, "0 1"),
        (3.0, 1, "0 stop"),  # 1 spent + 2 = 3, but 1 + 4 = 5
        (3.0, 2, "stop"),  # 2 + 2 = 4
        (4.0, 2, "0 stop"),
        (5.9, 2, "0 stop"),
        (6.0, 2, "0 1 stop"),
        (np.inf, 0, "0 1"),
        (np.inf, 1, "0 1 stop"),
    ],
)
@pytest.mark.parametrize("allow_stop", [True, False])
def test_masks_by_hand(by_hand, budget, node, legal, allow_stop):
    """STOP is legal after the first answer whether or not the policy may stop without a budget."""
    names = np.array(["0", "1", "stop"])
    state = RoutingState(jnp.asarray(0), jnp.asarray(node), jnp.asarray(False), jnp.asarray(budget))
    assert " ".join(names[np.asarray(routing.action_mask(state, by_hand, allow_stop))]) == legal
    masks = decision_masks(by_hand, allow_stop, jnp.array([budget]))
    assert " ".join(names[np.asarray(masks[0, node])]) == legal


def test_without_a_budget_charges_are_nothing(by_hand):
    state = RoutingState(jnp.asarray(0), jnp.asarray(1), jnp.asarray(False))
    assert routing.action_mask(state, by_hand, False).tolist() == [True, True, False]


def test_the_smallest_budget_by_hand(by_hand):
    assert float(routing.smallest_budget(jnp.asarray(0), by_hand)) == 1.5
    without_cheapest = by_hand.replace(available=by_hand.available.at[0, 1].set(False))
    assert float(routing.smallest_budget(jnp.asarray(0), without_cheapest)) == 3.0
    with pytest.raises(AssertionError, match="max_new_tokens"):
        routing.smallest_budget(jnp.asarray(0), by_hand.replace(charge=None))


def test_a_budget_that_pays_for_nothing_ends_with_nothing(by_hand):
    state = routing.start(jnp.zeros((), int), jnp.asarray(1.0))
    state, result = routing.step(state, jnp.asarray(2), by_hand, WEIGHTS, False)
    assert (float(result.reward), bool(result.terminated), int(state.node)) == (0.0, True, 0)


def test_a_call_that_cannot_be_paid_is_not_made(by_hand):
    state = routing.start(jnp.zeros((), int), jnp.asarray(2.0))
    state, result = routing.step(state, jnp.asarray(1), by_hand, WEIGHTS, True)
    assert (float(result.reward), bool(result.terminated), int(state.node)) == (0.0, True, 0)


@jax.jit
def random_episodes(device: DeviceTable, query: jax.Array, budget: jax.Array, key, logits=None):
    """End states of a random legal policy (uniform, or of logits [Q, D, A]), and the returns of the episodes."""
    state, total = routing.start(query, budget), jnp.zeros(query.shape)
    for step_key in jax.random.split(key, device.tree.horizon):
        node = jnp.minimum(state.node, device.tree.num_decision_nodes - 1)
        chances = jnp.zeros(()) if logits is None else logits[state.query, node]
        mask = routing.action_mask(state, device, False)
        action = jax.random.categorical(step_key, jnp.where(mask, chances, -jnp.inf))
        state, result = routing.step(state, action, device, WEIGHTS, False)
        total += result.reward
    return state, total


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_no_episode_of_ten_thousand_passes_its_budget(missing):
    """Spent money is summed in double precision on the host table; an answer comes back where one can be paid."""
    table = priced_table(queries=50, missing=missing)
    device, (budget_key, key) = on_device(table), jax.random.split(jax.random.key(1))
    query = jnp.arange(10_000) % 50
    budget = jnp.exp(jax.random.uniform(budget_key, query.shape, minval=-1.5, maxval=3.5))
    state, _ = random_episodes(device, query, budget, key)
    spent = accumulate_cost(table.cost, table.tree)[np.asarray(query), np.asarray(state.node)] / NORMALISER
    assert (spent <= np.asarray(budget) * (1 + 1e-5)).all()
    assert bool(state.done.all())
    affordable = np.asarray(budget >= routing.smallest_budget(query, device))
    np.testing.assert_array_equal(np.asarray(state.node) > 0, affordable)
    assert 0.05 < affordable.mean() < 0.95
    assert (spent > 0.5 * np.asarray(budget)).any()
    assert len(np.unique(device.tree.stages[np.asarray(state.node)])) == 4  # routes of every length


@jax.jit
def exact_return(device: DeviceTable, logits: jax.Array, budget: jax.Array) -> jax.Array:
    probs = jax.nn.softmax(jnp.where(decision_masks(device, False, budget), logits, -jnp.inf))
    return expected_return(probs, device, WEIGHTS)


@settings(max_examples=6)
@given(seed=st.integers(0, 1000), missing=st.sampled_from([0.0, 0.3]))
def test_exact_return_under_a_budget_is_the_monte_carlo_mean(seed, missing):
    """40,000 episodes of four queries, each with its budget: within five standard errors of their mean."""
    device = on_device(priced_table(seed=seed, queries=4, missing=missing))
    budget_key, policy_key, key = jax.random.split(jax.random.key(seed), 3)
    budget = jnp.exp(jax.random.uniform(budget_key, (4,), minval=-1.0, maxval=3.0))
    logits = jax.random.normal(policy_key, (4, device.tree.num_decision_nodes, device.tree.num_models + 1))
    exact = np.asarray(exact_return(device, logits, budget))
    query = jnp.repeat(jnp.arange(4), 10_000)
    _, total = random_episodes(device, query, budget[query], key, logits)
    sampled = np.asarray(total).reshape(4, -1)
    error = sampled.std(axis=1) / np.sqrt(sampled.shape[1])
    assert (np.abs(sampled.mean(axis=1) - exact) <= 5 * error + 1e-5).all()


@jax.jit
def best_return(device: DeviceTable, budget: jax.Array) -> jax.Array:
    return optimal_action_values(device, WEIGHTS, decision_masks(device, False, budget))[:, 0].max(axis=-1)


@given(seed=st.integers(0, 1000), missing=st.sampled_from([0.0, 0.3]))
def test_a_larger_budget_never_lowers_the_best_return(seed, missing):
    """From budgets on that pay for a first call; below them STOP at the root is free, and a call may cost more."""
    device = on_device(priced_table(seed=seed, missing=missing))
    smallest = routing.smallest_budget(jnp.arange(device.num_queries), device)
    growth = np.sort(np.random.default_rng(seed).uniform(1, 6, size=4))
    best = [best_return(device, smallest * factor) for factor in (1.0, *growth, np.inf)]
    for smaller, larger in pairwise(best):
        assert (larger >= smaller - 1e-6).all()


def test_masks_need_charges():
    device = on_device(random_table())
    with pytest.raises(AssertionError, match="max_new_tokens"):
        decision_masks(device, True, jnp.ones(device.num_queries))
