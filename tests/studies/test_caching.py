"""Costs with a prefix cache and switch regret, by hand; caching never costs more."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.studies.caching import caching, route_costs, staying, switch_regret
from tests.tables import random_table, replicated, tables


def built():
    """Models a (1 a token read, .1 cached, 2 written) and b (3, 3); nodes a, b, aa, ab, ba, bb.

    The first hop reads 10 tokens, the second 20, of which the same model has 8 cached; each writes 5.
    a costs 10 + 10 = 20, b 30 + 15 = 45; the second hop of a 20 + 10 = 30, after itself 30 - 8 x .9 = 22.8;
    the second hop of b 60 + 15 = 75 after either.
    """
    table = random_table(queries=2, models=2, horizon=2, tasks=1, splits=("test",))
    pool = (PricedModel("a", 1.0, 2.0, price_cached_in=0.1), PricedModel("b", 3.0, 3.0))
    rows = np.ones((2, 1), dtype=np.int32)
    return replace(
        table,
        pool=pool,
        tokens_in=rows * np.int32([0, 10, 10, 20, 20, 20, 20]),
        tokens_out=rows * np.int32([0, 5, 5, 5, 5, 5, 5]),
        tokens_cached=rows * np.int32([0, 0, 0, 8, 0, 0, 8]),
    )


def test_costs_and_regret_by_hand():
    table = built()
    uncached, cached = route_costs(table)
    np.testing.assert_allclose(uncached[0], [0, 20, 45, 50, 95, 75, 120])
    np.testing.assert_allclose(cached[0], [0, 20, 45, 42.8, 95, 75, 120])
    assert staying(HopTree(2, 2)).tolist() == [0, 1, 2, 3, 3, 6, 6]
    np.testing.assert_allclose(switch_regret(table)[1], [0, 0, 0, 0, 52.2, -45, 0])


def test_a_policy_by_hand():
    """On one query it goes a, b; on the other a coin between a, a and a alone."""
    ends = np.zeros((2, 7))
    ends[0, 4], ends[1, 3], ends[1, 1] = 1.0, 0.5, 0.5
    report = caching(built(), ends)["caching"]
    low, high = report.pop("switch_regret_ci")
    assert low <= 26.1 <= high
    assert report == pytest.approx(
        {
            "cost": (95 + 31.4) / 2,
            "cost_uncached": (95 + 35) / 2,
            "tokens_cached": (0 + 4) / (30 + 20),
            "switch_regret": (52.2 + 0) / 2,
        }
    )
    again = replicated(built(), 3)
    assert caching(again, np.tile(ends, (3, 1)))["caching"]["switch_regret"] == pytest.approx(26.1)
    free = replace(built(), pool=tuple(replace(one, price_cached_in=None) for one in built().pool))
    assert caching(free, ends) == {}


@given(table=tables(), share=st.floats(0, 1), discount=st.floats(0, 1))
def test_caching_saves_what_it_serves_and_never_more(table, share, discount):
    cached = np.floor(table.tokens_in * share).astype(np.int32)
    pool = tuple(replace(one, price_cached_in=one.price_in * discount) for one in table.pool)
    uncached, with_cache = route_costs(replace(table, pool=pool, tokens_cached=cached))
    assert (with_cache <= uncached + 1e-9).all()
    same = tuple(replace(one, price_cached_in=one.price_in) for one in table.pool)
    for free in (replace(table, pool=same, tokens_cached=cached), replace(table, tokens_cached=cached), table):
        np.testing.assert_array_equal(*route_costs(free))
    stays = np.flatnonzero(staying(table.tree) == np.arange(table.tree.num_nodes))
    assert (switch_regret(table)[:, stays] == 0).all()
