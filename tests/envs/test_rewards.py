"""Reward terms by hand, their laws on random tables, and a term of the user's own."""

import math
from dataclasses import fields, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierrouter_jax.envs import routing
from hierrouter_jax.envs.rewards import TERMS, RewardWeights
from hierrouter_jax.envs.routing import decision_masks
from hierrouter_jax.envs.types import device_table
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.exact import expected_return, optimal_action_values
from tests.tables import random_table, tables

NOTHING = RewardWeights(terminal_quality=0.0, hop_cost=0.0, overrun_limit=2.5)
ROUTE = (0, 1, 2)

# Qualities .25, 1, .4; costs 1, 2, .5; 10, 20, 30 tokens in .5, .25, 1 seconds; cheapest right route 2; gamma .9. What
# each term gives at each of the three hops, and for STOP after the second.
BY_HAND = {
    "terminal_quality": ((0, 0, 0.4), 1),
    "hop_cost": ((-1, -2, -0.5), 0),
    "potential": ((0.225, 0.65, -1), -1),
    "quality_gain": ((0.25, 0.75, -0.6), 0),
    "later_gain": ((0, 0.75, -0.6), 0),
    "hop_quality": ((0.25, 1, 0.4), 0),
    "verdict": ((0, 0, -1), 1),
    "damage": ((0, 0, -1), 0),
    "log_cost": ((-math.log(2), -math.log(3), -math.log(1.5)), 0),
    "relative_cost": ((-0.5, -1, -0.25), 0),
    "overrun": ((0, -0.5, -0.5), 0),
    "overrun_once": ((0, -1, 0), 0),
    "stage": ((1, 1, 1), 0),
    "length": ((-0.1, -0.2, -0.3), 0),
    "latency": ((-0.5, -0.25, -1), 0),
}


def one_route():
    """One query whose route 0, 1, 2 is as above."""
    device = device_table(table := random_table(queries=1), table.context_embedding, 1.0)
    path = jnp.array(device.tree.path(device.tree.node(ROUTE)))

    def with_path(leaf, values):
        return leaf.at[0, path].set(jnp.array(values))

    return device.replace(
        quality=with_path(device.quality, [0.25, 1.0, 0.4]),
        cost=with_path(device.cost, [1.0, 2.0, 0.5]),
        spent=with_path(device.spent, [1.0, 3.0, 3.5]),
        tokens=with_path(device.tokens, [10.0, 20.0, 30.0]),
        seconds=with_path(device.seconds, [0.5, 0.25, 1.0]),
        cheapest_right=jnp.array([2.0]),
    )


def test_every_term_is_checked_and_weighed():
    assert set(BY_HAND) == set(TERMS) == {field.name for field in fields(RewardWeights)} - {"overrun_limit", "custom"}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_term_by_hand(name):
    device, weights = one_route(), replace(NOTHING, **{name: 1.0})
    state, hops = routing.start(jnp.zeros((), int)), []
    stop = device.tree.num_models
    for stage, action in enumerate(ROUTE):
        if stage == 2:
            _, stopped = routing.step(state, jnp.asarray(stop), device, weights, True, 0.9)
        state, result = routing.step(state, jnp.asarray(action), device, weights, True, 0.9)
        hops.append(float(result.reward))
    expected_hops, expected_stop = BY_HAND[name]
    assert hops == pytest.approx(expected_hops, abs=1e-6)
    assert float(stopped.reward) == pytest.approx(expected_stop, abs=1e-6)


def test_a_limit_that_is_reached_is_not_passed_yet():
    """Costs 1, 2 and .5 at a limit of 1: the second hop passes it, and begins where it is just reached."""
    device, weights = one_route(), replace(NOTHING, overrun_once=1.0, overrun_limit=1.0)
    state, hops = routing.start(jnp.zeros((), int)), []
    for action in ROUTE:
        state, result = routing.step(state, jnp.asarray(action), device, weights, True)
        hops.append(float(result.reward))
    assert hops == [0.0, -1.0, 0.0]


@settings(max_examples=20)
@given(table=tables(models=3), seed=st.integers(0, 99))
def test_a_step_gives_what_the_tree_holds(table, seed):
    """All terms at once, with random weights: `step` equals `entering_rewards` and `stopping_rewards`."""
    rng, device = np.random.default_rng(seed), device_table(table, table.context_embedding, 2.0)
    weights = RewardWeights(**{name: float(rng.normal()) for name in TERMS}, overrun_limit=float(rng.random() * 20))
    query, node = np.indices(table.quality.shape)[:, :, 1:]
    parent, model, stop = table.tree.parent(node), table.tree.last_model(node), np.full_like(node, 3)
    for at, action, rewards in (
        (parent, model, routing.entering_rewards),
        (node, stop, routing.stopping_rewards),
    ):
        state = routing.start(jnp.asarray(query)).replace(node=jnp.asarray(at))
        _, result = jax.jit(routing.step, static_argnums=4)(state, jnp.asarray(action), device, weights, True, 0.9)
        held = table.available[:, 1:]
        expected = np.asarray(rewards(device, weights, 0.9))[:, 1:]
        np.testing.assert_allclose(np.asarray(result.reward)[held], expected[held], atol=1e-4)


def test_potential_shaping_keeps_the_optimum_of_200_random_tables():
    """Cost > 0, gamma < 1, missing hops, with STOP and without: Q* moves by -weight x quality everywhere.

    So the same actions stay optimal at every node, for any weight (Ng, Harada and Russell 1999).
    """

    @jax.jit
    def optima(device, plain, shaped, gamma):
        mask = {stop: decision_masks(device, stop) for stop in (False, True)}
        return [
            (mask[stop], *(optimal_action_values(device, weights, mask[stop], gamma) for weights in (plain, shaped)))
            for stop in (False, True)
        ]

    compared = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        table = random_table(seed, queries=3, horizon=3, models=2, missing=0.2)
        device = device_table(table, table.context_embedding, 5.0)
        plain = RewardWeights(hop_cost=float(rng.uniform(0.01, 0.5)))
        weight, gamma = float(rng.uniform(-2, 2)), float(rng.uniform(0.5, 1.0))
        for mask, value, moved in optima(device, plain, replace(plain, potential=weight), gamma):
            phi = np.asarray(device.quality)[:, : table.tree.num_decision_nodes, None]
            np.testing.assert_allclose(np.where(mask, moved - (value - weight * phi), 0.0), 0.0, atol=1e-5)
            gap = np.sort(np.where(mask, value, -np.inf), axis=-1)
            clear = gap[..., -1] - gap[..., -2] > 1e-4
            assert (value.argmax(-1) == moved.argmax(-1))[clear].all()
            compared += int(clear.sum())
    assert compared > 1000


def test_quality_gain_picks_another_route():
    """An answer of quality .5 for .1, or of .7 for .4: at lambda 1 worth .4 and .3, with the gain .9 and 1.0."""
    table = random_table(queries=1, models=2, horizon=1)
    device = device_table(table, table.context_embedding, 1.0).replace(
        quality=jnp.array([[0.0, 0.5, 0.7]]), cost=jnp.array([[0.0, 0.1, 0.4]]), spent=jnp.array([[0.0, 0.1, 0.4]])
    )
    mask, plain = decision_masks(device, False), RewardWeights(hop_cost=1.0)
    for weights, values, best in (
        (plain, [0.4, 0.3], 0),
        (replace(plain, quality_gain=1.0), [0.9, 1.0], 1),
        (replace(plain, potential=1.0), [0.4, 0.3], 0),
    ):
        found = np.asarray(optimal_action_values(device, weights, mask))[0, 0]
        assert found[:2] == pytest.approx(values, abs=1e-6)
        assert found.argmax() == best


OWN_TERM = '''
def short_answers(hop):
    """+1 for an answer of at most 10 tokens, at the end."""
    return hop.terminal * (hop.tokens <= 10)
'''


def test_a_term_of_ones_own_by_hand_on_three_queries(tmp_path):
    """Two models, one hop. Weighed by .5, short answers earn .5 more: the best return of each query by hand."""
    file = tmp_path / "my_terms.py"
    file.write_text(OWN_TERM)
    table = random_table(queries=3, models=2, horizon=1)
    device = device_table(table, table.context_embedding, 1.0).replace(
        quality=jnp.array([[0, 1.0, 0.8], [0, 0.6, 0.3], [0, 0.0, 1.0]]),
        cost=jnp.zeros((3, 3)),
        tokens=jnp.array([[0, 20.0, 10.0], [0, 11.0, 5.0], [0, 9.0, 30.0]]),
    )
    mask = decision_masks(device, False)
    plain = np.asarray(optimal_action_values(device, RewardWeights(), mask))[:, 0]
    assert plain.argmax(-1).tolist() == [0, 0, 1]
    weights = RewardWeights(custom={f"{file}:short_answers": 0.5})
    shaped = np.asarray(optimal_action_values(device, weights, mask))[:, 0]
    np.testing.assert_allclose(shaped[:, :2], [[1.0, 1.3], [0.6, 0.8], [0.5, 1.0]], atol=1e-6)
    assert shaped.argmax(-1).tolist() == [1, 1, 1]
    probs = jnp.array([[[0.5, 0.5, 0.0]]] * 3)
    assert expected_return(probs, device, weights).tolist() == pytest.approx([1.15, 0.7, 0.75])


def test_a_term_that_is_not_there_is_named(tmp_path):
    device = one_route()
    with pytest.raises(InputError, match=r"gone\.py is no file"):
        routing.entering_rewards(device, RewardWeights(custom={f"{tmp_path / 'gone.py'}:term": 1.0}))
