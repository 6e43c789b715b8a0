"""What a hop costs, and what it may cost at most."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import PricedModel, cached_costs, check_budget, hop_costs, largest_charges
from tests.tables import random_table


@pytest.mark.parametrize("price", [-1.0, float("nan"), float("inf"), 1e16, 10**400, None])
def test_unknown_prices_are_refused(price):
    with pytest.raises(InputError, match="a price is a number of at least 0"):
        PricedModel("m", price, 1.0)


def test_cost_is_tokens_times_prices_by_hand():
    """Node 2 of q0 calls m1 at .2 a token read and .4 a token written."""
    table = random_table()
    by_hand = table.tokens_in[0, 2] * 0.2 + table.tokens_out[0, 2] * 0.4
    assert table.cost[0, 2] == pytest.approx(by_hand)
    assert (table.cost[:, 0] == 0).all()


POOL = (PricedModel("a", 1.0, 2.0, max_new_tokens=10), PricedModel("b", 3.0, 4.0, max_new_tokens=5))
TREE = HopTree(2, 1)


def test_a_call_costs_what_it_reads_and_writes_by_hand():
    assert POOL[1].cost(5, 7) == 5 * 3.0 + 7 * 4.0


def test_cached_tokens_have_their_own_price():
    """Of five tokens that a reads two are cached, at .25 each instead of 1; b has no such price."""
    pool = (replace(POOL[0], price_cached_in=0.25), POOL[1])
    assert cached_costs(np.array([[0.0, 11, 19]]), np.array([[0, 2, 2]]), pool, TREE).tolist() == [[0, 9.5, 19]]
    assert POOL[0].to_dict().keys() ^ pool[0].to_dict().keys() == {"price_cached_in"}
    for price, why in ((-1.0, "a price is a number of at least 0"), (1.5, r"must be at most price_in, 1\.0")):
        with pytest.raises(InputError, match=why):
            replace(POOL[0], price_cached_in=price)


def test_costs_and_largest_charges_by_hand():
    """Five tokens read: a costs 5 + 2 x 3 written and at most 5 + 2 x 10; b 15 + 4 x 1 and at most 15 + 4 x 5."""
    read, written = np.array([[0, 5, 5]]), np.array([[0, 3, 1]])
    assert hop_costs(read, written, POOL, TREE).tolist() == [[0, 11, 19]]
    charges = largest_charges(read, POOL, TREE)
    assert charges is not None
    assert charges.tolist() == [[0, 25, 35]]
    assert largest_charges(read, (POOL[0], PricedModel("b", 3.0, 4.0)), TREE) is None


def test_a_budget_must_pay_for_a_first_call_of_every_query():
    smallest = np.array([1.0, 3.0, 2.0])
    check_budget(3.0, smallest, ["x", "y", "z"], "cents")
    with pytest.raises(InputError, match=r"2.5 cents pays for no first call of query 'y'; the smallest that does is 3"):
        check_budget(2.5, smallest, ["x", "y", "z"], "cents")
    with pytest.raises(InputError, match=r"2.5 cents pays for no first call of this request; the smallest"):
        check_budget(2.5, smallest[1:2], None, "cents")
