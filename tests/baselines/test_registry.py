"""Every opponent that learns finds the answer of a table built so that it is known, and misses what it cannot see."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from hierrouter_jax.baselines.planning import PLANNERS, plan
from hierrouter_jax.baselines.registry import ALWAYS, OPPONENTS, left_out, opponents_of
from hierrouter_jax.evaluation.policy_outcome import policy_outcome
from tests.baselines.known_tables import (
    blank,
    choice,
    outcome,
    problem_of,
    right_at,
    scout,
)
from tests.tables import random_table

SINGLE_SHOT = ("knn", "linear", "logistic", "mlp", "matrix-factorisation", "bandit")


@pytest.mark.parametrize("name", [*SINGLE_SHOT, "predict-then-plan"])
def test_what_the_query_tells_is_found(name):
    """The best single model is right on two in three, the choice by the query's kind on all."""
    assert outcome("best-single", choice()).quality.mean() == pytest.approx(2 / 3, abs=0.1)
    assert outcome(name, choice()).quality.mean() > 0.97


@pytest.mark.parametrize("name", [*SINGLE_SHOT, "predict-then-plan+stop", "cascade-routing"])
def test_a_dear_model_is_left_for_an_equal_one(name):
    """Both models are always right and model 0 costs half as much."""
    table = blank(queries=80, models=2, horizon=2)
    every = np.ones(80, dtype=bool)
    found = outcome(name, right_at(right_at(table, (0,), every), (1,), every), weight=0.05)
    assert found.quality.mean() == 1
    assert found.cost.mean() == pytest.approx(2)


@pytest.mark.parametrize("name", [*SINGLE_SHOT, "task-sequence+stop", "cascade", "self-refinement"])
def test_a_repair_is_missed_by_who_does_not_decide_anew(name):
    """One call is right on one in four at most, a fixed sequence or a fixed order on half."""
    assert outcome(name, scout()).quality.mean() < 0.7


@pytest.mark.parametrize("horizon", [1, 2])
def test_every_opponent_masks_what_is_missing(horizon):
    """On partial tables, an outcome of one model known to no training query among them, all end where they may."""
    table = random_table(queries=60, models=3, horizon=horizon, missing=0.3)
    train = np.array([query.split == "train" for query in table.queries])
    available = table.available.copy()
    available[train, 3] = False
    for node in range(4, table.tree.num_nodes):
        available[:, node] &= available[:, table.tree.parent(node)]
    table = replace(table, available=available)
    problem = problem_of(table, weight=0.01)
    for name, opponent in opponents_of(table).items():
        policy = opponent.fit(problem)
        for split in ("validation", "test"):
            found = policy_outcome(table.split(split), policy(table.split(split)))
            assert found.hops.min() >= 1, name


def test_permuting_the_models_permutes_the_answers():
    """Of those that draw nothing."""
    order, table = (2, 0, 1), random_table(queries=90, models=3, horizon=2)
    tree = table.tree
    node_of = np.array([tree.node([order[m] for m in tree.route(n)]) for n in range(tree.num_nodes)])
    fields = ("quality", "tokens_in", "tokens_out", "available", "response", "latency")
    permuted = replace(
        table,
        pool=tuple(table.pool[m] for m in order),
        **{name: getattr(table, name)[:, node_of] for name in fields},
        context_embedding=table.context_embedding[:, node_of[: tree.num_decision_nodes]],
        details={},
    )
    fits = {name: OPPONENTS[name].fit for name in ("knn", "linear", "logistic", "matrix-factorisation", "cascade")}
    fits |= {name: OPPONENTS[name].fit for name in ("cascade-routing", "self-refinement", "task-sequence+stop")}
    fits["plan"] = partial(plan, regressor=PLANNERS[1], allow_stop=True)
    for name, fit in fits.items():
        ours, theirs = (fit(problem_of(t, weight=0.01))(t.split("test")) for t in (permuted, table))
        np.testing.assert_allclose(ours, theirs[:, node_of], err_msg=name)


def test_the_registry_says_what_is_no_opponent_on_a_table_of_one_hop():
    table = choice()
    missing = left_out(table)
    assert set(missing) == {name for name, row in OPPONENTS.items() if row.shallowest == 2}
    assert missing["cascade"] == "needs at least 2 hops, the table has 1; it would be one call of one model"
    assert set(opponents_of(table)) == {*table.model_names, *OPPONENTS} - set(missing)
    always = opponents_of(scout(), ALWAYS)
    assert list(always)[:4] == ["best-single", "best-single-per-task", "m0", "m0 x2"]
    assert all(row.tried >= 1 for row in OPPONENTS.values())
