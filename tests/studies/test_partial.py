"""Partial trees: what the plans want."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.coverage import opponents_train, whole_training_trees, without_partial_trees
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.leaderboard.fitting import Fitter
from hierrouter_jax.studies.partial import (
    PartialConfig,
    collect_partly,
    frontier,
    most_expanded,
    possible,
    promising,
    visit_probability,
    visits,
    whole_trees,
)
from hierrouter_jax.training.router import Diverged
from tests.conditioned import random_router
from tests.tables import random_table

TREE = HopTree(2, 2)


def masked(table: OutcomeTable, wanted: np.ndarray) -> OutcomeTable:
    """What a collection of the wanted nodes would have given."""
    wanted = wanted.copy()
    for node in reversed(range(1, table.tree.num_nodes)):
        wanted[:, table.tree.parent(node)] |= wanted[:, node]
    return replace(table, available=wanted, quality=np.where(wanted, table.quality, 0).astype(np.float32))


def test_whole_trees_are_those_of_validation_and_test_and_a_share_of_each_task():
    table = random_table(queries=60, models=2, horizon=2)
    wanted = whole_trees(table.queries, TREE, share=0.3, seed=1)
    train = np.array([query.split == "train" for query in table.queries])
    whole = wanted.all(axis=1)
    assert whole[~train].all()
    for task in range(2):  # ten training queries each
        assert whole[train & (table.task == task)].sum() == 3
    assert not wanted[train & ~whole, 1:].any()


def test_promising_routes_by_hand():
    """Of one task, two whole training trees where the route (0, 1) is right and the other nodes are not."""
    table = random_table(queries=6, models=2, horizon=2, tasks=1, splits=("train", "train", "test"))
    quality = np.zeros_like(table.quality)
    quality[:2, TREE.node((0, 1))] = 1.0
    whole = np.array([True, True, True, False, False, True])
    wanted = promising(replace(table, quality=quality), whole, margin=0.1)
    assert wanted[whole].all()
    for row in (3, 4):
        assert np.flatnonzero(wanted[row]).tolist() == [0, 1, 2, *(TREE.node((0, model)) for model in (0, 1))]


def test_the_frontier_is_all_that_follows_a_visited_node(monkeypatch):
    table = masked(random_table(queries=3, models=2, horizon=2), np.eye(3, 7, k=1, dtype=bool))
    reach = np.zeros((3, 7))
    reach[:, :3] = [1.0, 0.9, 0.1]
    monkeypatch.setattr("hierrouter_jax.studies.partial.visits", lambda table, routers: reach)
    wanted = frontier(table, [], 0.2)
    assert np.flatnonzero(wanted[0]).tolist() == [1, 2, 3, 4]  # node 1 was collected
    assert np.flatnonzero(wanted[1]).tolist() == [1, 2]  # and here only node 2, which nobody visits
    assert possible(TREE, may_stop=True)[0].tolist() == [True, True, False]


def test_visits_are_products_of_choices_without_a_mask_for_what_is_missing():
    """At the root 1/4 and 3/4, as it cannot STOP; after model 1 STOP takes half, and each model a quarter."""
    logits = jnp.log(jnp.array([[[1.0, 3.0, 9.0], [1.0, 1.0, 2.0], [1.0, 1.0, 2.0]]]))
    found = visit_probability(logits, jnp.asarray(possible(TREE, may_stop=True)), TREE)
    np.testing.assert_allclose(found[0], [1, 1 / 4, 3 / 4, 1 / 16, 1 / 16, 3 / 16, 3 / 16], rtol=1e-5)


@given(seed=st.integers(0, 1000), visited=st.sampled_from([0.06, 0.2, 0.35, 0.6]), seeds=st.integers(1, 2))
def test_no_frontier_passes_the_bound_of_its_plan(seed, visited, seeds):
    """Random policies, some sharp and some flat, over trees of three models and hops."""
    tree, rng = HopTree(3, 3), np.random.default_rng(seed)
    logits = rng.normal(size=(seeds, 5, 13, 4)) * rng.choice([0.1, 1.0, 9.0])
    legal = jnp.asarray(possible(tree, may_stop=True))
    reach = np.max([visit_probability(jnp.asarray(one), legal, tree) for one in logits], axis=0)
    most = most_expanded("frontier", PartialConfig(visited=visited, seeds=seeds), tree)
    for stage in range(tree.horizon):
        assert (reach[:, tree.stage_slice(stage)] > visited).sum(axis=1).max() <= most[stage]


def test_the_bound_by_hand():
    """Two policies of fewer than 1 / .4 nodes each, in two rounds: eight; .6 leaves one node to each."""
    tree = HopTree(3, 4)
    assert most_expanded("frontier", PartialConfig(visited=0.4, rounds=2), tree) == (1, 3, 8, 8)
    assert most_expanded("frontier", PartialConfig(visited=0.6), tree) == (1, 2, 2, 2)
    assert most_expanded("promising", PartialConfig(), tree) == (1, 3, 9, 27)


def test_a_seed_that_diverged_does_not_say_where_to_look():
    """Two seeds of which the second never had finite parameters: the first alone visits."""
    table = random_table(queries=6, models=2, horizon=2)
    one, other = (random_router(table, seed, allow_stop=True) for seed in (0, 1))
    both = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), one.state, other.state)
    assert (visits(table, [replace(one, state=both)]) > visits(table, [one])).any()
    lost = replace(one, state=replace(both, best_return=jnp.array([0.0, -jnp.inf])))
    np.testing.assert_allclose(visits(table, [lost]), visits(table, [one]), rtol=1e-6)


def test_where_every_seed_diverged_nothing_more_is_collected(monkeypatch):
    trained = {"exact+stop": SimpleNamespace(diverged=np.array([True, True]))}
    monkeypatch.setattr("hierrouter_jax.training.train.train_routers", lambda table, config, progress: (trained, None))
    full = random_table(queries=48, models=2, horizon=2)
    asked = []

    def ask(nodes):
        asked.append(nodes)
        return masked(full, nodes)

    with pytest.raises(Diverged, match=r"round 1 of the plan frontier: exact\+stop: training diverged"):
        collect_partly(ask, full.queries, TREE, "frontier", PartialConfig(whole=0.25))
    assert len(asked) == 1  # the whole trees that training had


def test_rounds_ask_for_more_and_more_and_for_no_more_than_the_policies_want(monkeypatch):
    """Policies that always call model 0: of whose hops all siblings are collected, too."""
    reach = np.isin(np.arange(7), (0, 1, 3)).astype(float)
    trained = {"exact+stop": SimpleNamespace(diverged=np.array([False]))}
    monkeypatch.setattr("hierrouter_jax.training.train.train_routers", lambda table, config, progress: (trained, None))
    monkeypatch.setattr("hierrouter_jax.studies.partial.visits", lambda table, routers: reach)
    full = random_table(queries=48, models=2, horizon=2)
    asked = []

    def ask(wanted):
        asked.append(wanted)
        return masked(full, wanted)

    config = PartialConfig(whole=0.25, visited=0.45)
    table = collect_partly(ask, full.queries, TREE, "frontier", config)
    train = np.array([query.split == "train" for query in full.queries])
    assert table.available[~train].all()
    partial = train & ~table.available.all(axis=1)
    assert partial.sum() == 12
    assert all(np.flatnonzero(row).tolist() == [0, 1, 2, 3, 4] for row in table.available[partial])
    for before, after in itertools.pairwise(asked):
        assert (before <= after).all()
    chosen_on = whole_training_trees(table)
    assert chosen_on.available.all()
    assert {query.split for query in chosen_on.queries} == {"train", "validation"}
    assert whole_training_trees(full).num_queries == train.sum()
    assert opponents_train(table).num_queries == train.sum()  # missing by chance, for all that the table says
    told = replace(table, settings={"partial": {"training_hops": 1, "of_hops": 2}})
    assert opponents_train(told).queries == chosen_on.queries
    fitter = Fitter(replace(told, queries=table.queries), 4, (0.0,), 0)
    assert fitter.problems[0].train.queries == chosen_on.queries
    assert not fitter.train.available.all()
    rest = without_partial_trees(told)
    assert rest.available.all()
    assert rest.num_queries == table.num_queries - partial.sum()
    assert collect_partly(ask, full.queries, TREE, "all", config).available.all()


def test_numbers_out_of_range_are_refused():
    for wrong, words in (
        ({"whole": 0.0}, "whole is 0.0"),
        ({"visited": 1.0}, "visited is 1.0"),
        ({"margin": 2.0}, "margin is 2.0"),
        ({"rounds": 0}, "rounds is 0"),
        ({"learners": ("pop",)}, "'pop' is unknown"),
    ):
        with pytest.raises(InputError, match=words):
            PartialConfig(**wrong)
