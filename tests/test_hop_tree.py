"""The tree's arithmetic against a tree that is grown node by node."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree

trees = st.builds(HopTree, st.integers(1, 5), st.integers(1, 4))


def grown(tree: HopTree) -> list[tuple[int, ...]]:
    """Routes of all nodes in breadth-first order, by growing them."""
    level: list[tuple[int, ...]] = [()]
    routes = list(level)
    for _ in range(tree.horizon):
        level = [(*route, model) for route in level for model in range(tree.num_models)]
        routes += level
    return routes


@given(trees)
def test_nodes_are_the_routes_in_breadth_first_order(tree):
    routes = grown(tree)
    assert tree.num_nodes == len(routes)
    assert tree.num_decision_nodes == sum(len(route) < tree.horizon for route in routes)
    for node, route in enumerate(routes):
        assert tree.route(node) == route
        assert tree.node(route) == node
        assert tree.stages[node] == len(route)
        assert tree.path(node) == tuple(routes.index(route[: hop + 1]) for hop in range(len(route)))


@given(trees)
def test_children_know_their_parent_and_model(tree):
    nodes = np.arange(tree.num_decision_nodes)
    for model in range(tree.num_models):
        children = tree.child(nodes, model)
        assert (tree.parent(children) == nodes).all()
        assert (tree.last_model(children) == model).all()


@given(trees)
def test_stages_are_contiguous_and_cover_the_tree(tree):
    covered = [node for stage in range(tree.horizon + 1) for node in range(*tree.stage_slice(stage).indices(10**6))]
    assert covered == list(range(tree.num_nodes))


def test_closed_forms():
    """(M^(L+1) - 1) / (M - 1) nodes; for M = 1 a chain of L + 1."""
    assert (HopTree(3, 3).num_nodes, HopTree(3, 3).num_decision_nodes) == (40, 13)
    assert (HopTree(1, 4).num_nodes, HopTree(1, 4).num_decision_nodes) == (5, 4)


@pytest.mark.parametrize(("models", "horizon"), [(0, 3), (3, 0)])
def test_an_empty_tree_is_refused(models, horizon):
    with pytest.raises(InputError, match="at least one model and one hop"):
        HopTree(models, horizon)


@pytest.mark.parametrize(("models", "horizon"), [(1, 2**31 - 1), (2, 31), (3, 20), (2**16, 2), (3, 10**9)])
def test_a_tree_of_more_nodes_than_an_int32_counts_is_refused(models, horizon):
    with pytest.raises(InputError, match="2,147,483,647 nodes; lower the horizon"):
        HopTree(models, horizon)


@pytest.mark.parametrize(("models", "horizon", "nodes"), [(1, 2**31 - 2, 2**31 - 1), (2, 30, 2**31 - 1)])
def test_a_tree_of_as_many_is_not(models, horizon, nodes):
    assert HopTree(models, horizon).num_nodes == nodes
