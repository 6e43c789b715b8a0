"""A policy that knows models by their descriptions alone."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hierrouter_jax.evaluation.policy_outcome import policy_outcome
from hierrouter_jax.outcomes.ties import reordered
from hierrouter_jax.studies.pool_agnostic import PoolAgnosticNetwork, describe, pool_agnostic
from hierrouter_jax.studies.transfer import add_model
from tests.baselines.known_tables import choice
from tests.tables import random_table


def test_descriptions_by_hand():
    """Prices of 15 tokens at .3, .6 and .9; sizes 1, 2, 3; two of four answers of model 0 known, one right."""
    table = random_table(queries=4, tasks=2, horizon=1, models=3)
    quality = jnp.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    probed = jnp.array([[True, False, False], [True, False, False], [False] * 3, [False] * 3])
    found = np.asarray(describe(table, quality, probed, table.task_names))
    logs = np.log([1, 2, 3]) - np.log([1, 2, 3]).mean()
    np.testing.assert_allclose(found[:, 0], logs, rtol=1e-5)
    np.testing.assert_allclose(found[:, 1], logs, rtol=1e-5)
    np.testing.assert_allclose(found[:, 2], [(1 + 5 * 0.5) / 7 - 0.5, 0, 0], atol=1e-6)
    np.testing.assert_allclose(found[0, 3:5], [(1 + 5 * 0.5) / 6 - 0.5, (0 + 5 * 0.5) / 6 - 0.5], atol=1e-6)
    np.testing.assert_allclose(found[:, 5], [np.log(3) / np.log(201), 0, 0], rtol=1e-5)


def test_the_network_permutes_with_the_pool():
    network, rng = PoolAgnosticNetwork(horizon=2), np.random.default_rng(0)
    features, stage, spent = rng.normal(size=(5, 4)), jnp.array([0, 1, 0, 1, 1]), rng.random(5)
    descriptions, order = rng.normal(size=(3, 6)), np.array([2, 0, 1])
    params = network.init(jax.random.key(0), features, stage, spent, descriptions)
    one = network.apply(params, features, stage, spent, descriptions)
    other = network.apply(params, features, stage, spent, descriptions[order])
    np.testing.assert_allclose(one[:, [2, 0, 1, 3]], other, rtol=1e-5, atol=1e-6)


def test_a_pool_in_another_order_is_routed_alike_without_a_new_fit():
    table = choice()
    policy = pool_agnostic(0.0, steps=200)(table)
    test = table.split("test")
    assert policy_outcome(test, policy(test)).quality.mean() > 0.9
    there = reordered(test, [2, 0, 1])
    np.testing.assert_array_equal(policy(there)[:, 1:], policy(test)[:, [3, 1, 2]])


def test_equal_models_tie_by_name_and_not_by_place():
    """The first two models cost the same and answer the same, so that nothing but their names tells them apart."""
    table = choice()
    quality, pool = table.quality.copy(), table.pool
    quality[:, 1] = quality[:, 2]
    twins = (replace(pool[1], name="b"), replace(pool[1], name="a"), pool[2])
    table = replace(table, quality=quality, pool=twins)
    policy, test = pool_agnostic(0.0, steps=50)(table), table.split("test")
    ends, there = policy(test), policy(reordered(test, [1, 0, 2]))
    assert (ends[:, 1:].sum(axis=0) > 0).tolist() == [False, True, True]
    np.testing.assert_array_equal(there[:, 1:], ends[:, [2, 1, 3]])


def test_a_new_model_is_used_once_some_outcomes_are_known():
    """Model 2 alone answers task1."""
    unseen, seen = add_model(choice(), "m2", [0, 40], {"pool-agnostic": pool_agnostic(0.0, steps=200)})
    assert seen["used"] == pytest.approx(0.5, abs=0.15)
    assert seen["accuracy"] > unseen["accuracy"] + 0.1
