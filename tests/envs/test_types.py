"""The table on the device by hand: accumulated costs, cheapest right routes, types and shapes."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from hierrouter_jax.envs.types import cheapest_right, device_table, single_precision
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import accumulate_cost
from tests.tables import random_table, replicated


def test_a_routes_cost_is_that_of_all_its_hops():
    """M = 2, L = 2: nodes 3 and 4 lie below 1, nodes 5 and 6 below 2."""
    cost = np.array([[0.0, 1.0, 2.0, 10.0, 20.0, 30.0, 40.0]])
    assert accumulate_cost(cost, HopTree(2, 2)).tolist() == [[0, 1, 2, 11, 21, 32, 42]]


def test_the_cheapest_right_route_is_one_that_was_run_or_the_cheapest_where_none_is_right():
    """Query 0 is right at nodes 1 and 3; 1 nowhere; 2 at node 2, which was not run, and at 1, of quality .5."""
    table = random_table(queries=3, models=2, horizon=2)
    quality = np.zeros((3, 7), np.float32)
    quality[0, [1, 3]], quality[2, [1, 2]] = 1.0, 0.5
    available = np.ones((3, 7), bool)
    available[2, [2, 5, 6]] = False
    spent = np.tile([0.0, 4.0, 3.0, 9.0, 8.0, 7.0, 6.0], (3, 1))
    assert cheapest_right(replace(table, quality=quality, available=available), spent).tolist() == [4, 3, 4]


def test_costs_are_over_the_normaliser_and_floats_have_32_bits():
    table = random_table(queries=4, models=2, horizon=2, tasks=2)
    device = device_table(table, table.context_embedding, 2.0)
    np.testing.assert_allclose(device.cost, table.cost / 2, rtol=1e-6)
    np.testing.assert_allclose(device.spent, accumulate_cost(table.cost, table.tree) / 2, rtol=1e-6)
    np.testing.assert_array_equal(device.quality, table.quality)
    assert (device.num_queries, device.num_tasks, device.charge) == (4, 2, None)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(device)} == {"float32", "int32", "bool"}
    assert device_table(table, table.context_embedding.astype(np.float16), 2.0).features.dtype == jnp.float16
    limited = replace(table, pool=tuple(replace(member, max_new_tokens=30) for member in table.pool))
    assert (device_table(limited, table.context_embedding, 2.0).charge >= device.cost).all()


def test_taken_queries_are_rows_of_the_table():
    table = random_table(queries=4, models=2, horizon=1)
    device = device_table(table, table.context_embedding, 2.0)
    part = device.take(jnp.array([3, 3, 0]))
    np.testing.assert_array_equal(part.quality, table.quality[[3, 3, 0]])
    np.testing.assert_array_equal(part.task, table.task[[3, 3, 0]])


def test_rows_of_one_question_are_known_where_there_are_some():
    table = random_table(queries=4, models=2, horizon=1, splits=("train", "test"))
    again = replicated(table, 2, "test")  # q1 and q3, asked again at the end
    assert device_table(table, table.context_embedding, 2.0).question is None
    assert device_table(again, again.context_embedding, 2.0).question.tolist() == [0, 1, 2, 3, 1, 3]


def test_numbers_made_in_single_precision_have_32_bits_in_a_process_with_64():
    with jax.enable_x64(True):
        assert jnp.asarray(0.5).dtype == jnp.float64
        assert single_precision(lambda: jnp.asarray(0.5))().dtype == jnp.float32
