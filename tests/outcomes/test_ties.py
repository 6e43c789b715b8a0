"""Ties go by price, then by accuracy on training, and never by place."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.ties import first_best, price_order, route_order, tie_order
from tests.tables import random_table


def pool_of(*prices: float) -> tuple[PricedModel, ...]:
    return tuple(PricedModel(f"m{at}", price, price) for at, price in enumerate(prices))


def plain_table(prices: tuple[float, ...], right: tuple[float, ...], horizon: int = 1):
    """Ten tokens a call; model m's answers are right on a share of the queries, whatever came before."""
    table = random_table(queries=20, models=len(prices), horizon=horizon)
    last = table.tree.last_model(np.arange(table.tree.num_nodes))
    quality = (np.arange(20)[:, None] < 20 * np.array(right)[last]).astype(np.float32)
    quality[:, 0] = 0
    tokens = np.where(table.tree.stages > 0, 10, 0) * np.ones((20, 1), np.int32)
    return replace(table, pool=pool_of(*prices), quality=quality, tokens_in=0 * tokens, tokens_out=tokens)


@pytest.mark.parametrize(
    ("prices", "right", "order"),
    [
        ((0.3, 0.1, 0.2), (0.5, 0.5, 0.5), (3, 1, 2, 0)),
        ((0.2, 0.2, 0.1), (0.2, 0.9, 0.0), (3, 2, 1, 0)),
        ((0.1, 0.1, 0.1), (0.2, 0.9, 0.5), (3, 1, 2, 0)),
    ],
)
def test_stop_then_the_cheapest_then_the_best(prices, right, order):
    assert tie_order(plain_table(prices, right)) == order


def test_of_equally_good_single_calls_the_better_on_longer_routes_comes_first():
    table = plain_table((0.1, 0.1), (0.5, 0.5), horizon=2)
    quality = table.quality.copy()
    quality[:, table.tree.node((0, 1))] = 1
    assert tie_order(replace(table, quality=quality)) == (2, 1, 0)


def test_routes_by_cost_then_accuracy():
    """Prices 2 and 1, the dearer model right on all, the other on half: routes cost 1, 2, 2, 3, 3, 4."""
    table = plain_table((2.0, 1.0), (1.0, 0.5), horizon=2)
    routes = [table.tree.route(int(node)) for node in route_order(table)]
    assert routes == [(), (1,), (0,), (1, 1), (1, 0), (0, 1), (0, 0)]


def test_prices_alone():
    assert price_order(pool_of(0.3, 0.1, 0.2)) == (3, 1, 2, 0)


def test_the_first_of_equals_but_for_rounding():
    scores = np.array([[1.0, 1.0 + 1e-12, 0.0], [0.0, -np.inf, 1.0], [-np.inf, -np.inf, -np.inf]])
    assert first_best(scores, (2, 0, 1)).tolist() == [0, 2, 2]
    assert first_best(scores, (1, 0, 2)).tolist() == [1, 2, 1]
