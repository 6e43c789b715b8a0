"""The hop tree of a query, by hand on small tables."""

import numpy as np
import pytest

from hierrouter_jax.outcomes.ties import tie_order
from hierrouter_jax.report.data.hop_tree import ROWS, STOP, choices, greedy_ends, leaves, query_tree, telling_query
from tests.conditioned import random_router
from tests.report.policies import random_policy
from tests.tables import random_table


@pytest.mark.parametrize(("models", "horizon", "missing"), [(3, 3, 0.0), (3, 3, 0.3), (10, 2, 0.0), (2, 6, 0.0)])
def test_probabilities_of_a_hop_tree_sum_to_one_and_the_taken_route_is_the_likeliest(models, horizon, missing):
    table = random_table(3, queries=2, models=models, horizon=horizon, missing=missing)
    probabilities = random_policy(0, table)
    end = int(greedy_ends(probabilities, table.tree, tie_order(table))[1])
    tree = query_tree("ppo", table, 1, probabilities[1], end)
    assert sum(not branch.opened for branch in tree.branches) <= ROWS + horizon
    opened = [branch for branch in tree.branches if branch.opened]
    assert opened
    for node in opened:
        below = [one for one in tree.branches if one.parent == node.node and one.stage == node.stage + 1]
        assert sum(one.probability for one in below) == pytest.approx(1, abs=0.006)  # a STOP below .005 is left out
        calls = [one for one in below if not one.more]
        if node.taken and not table.tree.num_decision_nodes <= node.node:
            (taken,) = [one for one in calls if one.taken]
            assert taken.probability == max(one.probability for one in calls)
        shown = sum(one.more or one.model != STOP for one in below)
        assert shown == table.available[1, table.tree.child(node.node, np.arange(models))].sum()
    route = [branch for branch in tree.branches if branch.taken and branch.stage and branch.model != STOP]
    assert tuple(branch.node for branch in route) == table.tree.path(end)
    assert tree.cost == pytest.approx(sum(branch.cost for branch in route), rel=1e-6)
    assert tree.answer == route[-1].response


@pytest.mark.parametrize("seed", range(3))
def test_what_is_opened_off_the_route_is_likelier_reached_than_what_is_folded(seed):
    """Nobody stops, so that every node adds as many rows, and those that fit the picture are the likeliest."""
    table = random_table(seed, queries=1, models=4, horizon=4)
    probabilities = random_policy(seed, table)
    probabilities[..., -1] = 0.0
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    end = int(greedy_ends(probabilities, table.tree, tie_order(table))[0])
    calls = [branch for branch in query_tree("ppo", table, 0, probabilities[0], end).branches if branch.model]
    opened = [branch.reach for branch in calls if branch.opened and not branch.taken]
    folded = [branch.reach for branch in calls if branch.folded]
    assert len(opened) > 3
    assert min(opened) >= max(folded)


def test_the_telling_query_is_one_that_is_repaired():
    table = random_table(0, queries=4, models=2, horizon=2)
    table.quality[:] = 0.0
    table.quality[2, table.tree.node((0, 1))] = 1.0
    table.quality[3, [table.tree.node((1,)), table.tree.node((1, 1))]] = 1.0  # right all along
    ends = np.array([table.tree.node(route) for route in ((0, 1), (0, 1), (0, 1), (1, 1))])
    assert telling_query(table, ends) == 2


def test_the_choices_of_a_router_are_where_it_ends():
    table = random_table(queries=30, models=2, horizon=2, embedding=4)
    router = random_router(table, allow_stop=True)
    policy = choices(router, table)
    assert policy.probabilities.sum(axis=-1) == pytest.approx(1, abs=1e-5)
    assert policy.probabilities[:, 0, -1].max() == 0.0  # nobody stops before an answer
    assert policy.ends.tolist() == router.end_probability(table, 0).argmax(axis=1).tolist()


def test_leaves_are_the_branches_without_their_own():
    table = random_table(3, queries=1, models=2, horizon=1)
    probabilities = np.array([[[0.25, 0.75, 0.0]]])
    tree = query_tree(
        "ppo", table, 0, probabilities[0], int(greedy_ends(probabilities, table.tree, tie_order(table))[0])
    )
    assert [branch.node for branch in tree.branches] == [0, 1, 2]
    assert leaves(tree.branches) == [1, 2]
