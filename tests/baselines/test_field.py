"""Every opponent that learns finds the answer of a table built so that it is known, and misses what it cannot see."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from hierrouter_jax.baselines.planning import PLANNERS, plan
from hierrouter_jax.baselines.problem import chosen_on_validation, ending_best, returns
from hierrouter_jax.baselines.registry import ALWAYS, OPPONENTS, Problem, left_out, opponents_of
from hierrouter_jax.baselines.regressors import neighbours, reduced_rank, ridge
from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome, policy_outcome
from hierrouter_jax.outcomes.table import OutcomeTable
from tests.baselines.known_tables import blank, choice, doubt, problem_of, right_at, scout, told_at
from tests.tables import random_table

SINGLE_SHOT = ("knn", "linear", "logistic", "mlp", "matrix-factorisation", "bandit")


def outcome(name: str, table: OutcomeTable, weight: float = 0.0) -> PolicyOutcome:
    """What an opponent reaches on the test queries."""
    test = table.split("test")
    return policy_outcome(test, OPPONENTS[name].fit(problem_of(table, weight))(test))


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


@pytest.mark.parametrize("name", ["predict-then-plan", "predict-then-plan+stop", "cascade-routing"])
def test_a_repair_that_only_the_first_answer_tells_is_found(name):
    assert outcome(name, scout()).quality.mean() > 0.97


@pytest.mark.parametrize("name", [*SINGLE_SHOT, "task-sequence+stop", "cascade", "self-refinement"])
def test_a_repair_is_missed_by_who_does_not_decide_anew(name):
    """One call is right on one in four at most, a fixed sequence or a fixed order on half."""
    assert outcome(name, scout()).quality.mean() < 0.7


def test_only_a_plan_knows_that_it_will_know_more():
    """Model 2 twice is right on three in four; each sequence by way of the scout on half, but the plan sees all."""
    table = right_at(scout(), (2, 2), np.arange(160) % 4 > 0)
    assert outcome("predict-then-plan", table).quality.mean() > 0.97
    assert outcome("cascade-routing", table).quality.mean() == pytest.approx(3 / 4, abs=0.1)


@pytest.mark.parametrize(("name", "dear"), [("cascade", 4), ("self-refinement", 2)])
def test_a_cascade_goes_on_just_where_the_answer_is_wrong(name, dear):
    """All are right in the end; model 0 costs 2 a call, and only the half that it got wrong pay for another."""
    test = doubt().split("test")
    found = outcome(name, doubt(), weight=0.01)
    assert found.quality.mean() == 1
    first_wrong = test.quality[:, 1] == 0
    np.testing.assert_allclose(found.cost, 2 + dear * first_wrong)


def test_a_cascade_stops_at_once_where_going_on_does_not_pay():
    """The repair of half the queries is worth .5 a query and the second call costs 4 at .2 a unit."""
    assert outcome("cascade", doubt(), weight=0.3).hops.max() == 1


def test_a_bandit_finds_the_best_arm_from_the_rewards_of_those_that_it_pulled():
    """The other arms' outcomes on training may be anything: an arm is best by what was seen of it."""
    table = blank(queries=400, models=4, horizon=1)
    rng = np.random.default_rng(0)
    for model, share in enumerate((0.2, 0.5, 0.9, 0.4)):
        table = right_at(table, (model,), rng.random(400) < share)
    test = table.split("test")
    ends = OPPONENTS["bandit"].fit(problem_of(table))(test)
    assert ends[:, 3].mean() > 0.95


def test_no_cost_weight_fits_a_predictor_anew():
    problem = problem_of(choice())
    OPPONENTS["knn"].fit(problem)
    before = dict(problem.fitted)
    dear = problem.at(0.2)
    test = choice().split("test")
    cheap = policy_outcome(test, OPPONENTS["knn"].fit(dear)(test))
    assert dear.fitted is problem.fitted
    assert all(problem.fitted[key] is made for key, made in before.items())
    assert cheap.cost.mean() < outcome("knn", choice()).cost.mean()


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


def test_ridge_without_each_row_is_ridge_fitted_without_it():
    rng = np.random.default_rng(0)
    x, y, known = rng.normal(size=(12, 4)), rng.random((12, 2)), rng.random((12, 2)) < 0.8
    held_out = ridge(x, y, known, 3.0).held_out()
    for row in range(12):
        others = known.copy()
        others[row] = False
        np.testing.assert_allclose(held_out[row], ridge(x, y, others, 3.0).predict(x[[row]])[0])


def test_neighbours_are_the_mean_of_those_that_know():
    x, y = np.array([[0.0], [1.0], [2.0], [9.0]]), np.array([[0.0], [1.0], [0.5], [1.0]])
    known = np.array([[True], [False], [True], [True]])
    fitted = neighbours(x, y, known, k=2)
    assert fitted.predict(np.array([[0.4], [7.0]])).tolist() == [[0.25], [0.75]]
    assert fitted.held_out()[[0, 2, 3]].tolist() == [[0.75], [0.5], [0.25]]


def test_a_reduced_rank_has_that_rank_and_a_full_one_is_ridge():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 6)), rng.random((40, 4))
    known = np.ones_like(y, dtype=bool)
    full = ridge(x, y, known, 1.0).predict(x)
    one = reduced_rank(x, y, known, alpha=1.0, rank=1).predict(x)
    assert np.linalg.matrix_rank(one - one.mean(axis=0), tol=1e-8) == 1
    np.testing.assert_allclose(reduced_rank(x, y, known, alpha=1.0, rank=4).predict(x), full)


def test_the_registry_says_what_is_no_opponent_on_a_table_of_one_hop():
    table = choice()
    missing = left_out(table)
    assert set(missing) == {name for name, row in OPPONENTS.items() if row.shallowest == 2}
    assert missing["cascade"] == "needs at least 2 hops, the table has 1; it would be one call of one model"
    assert set(opponents_of(table)) == {*table.model_names, *OPPONENTS} - set(missing)
    always = opponents_of(scout(), ALWAYS)
    assert list(always)[:4] == ["best-single", "best-single-per-task", "m0", "m0 x2"]
    assert all(row.tried >= 1 for row in OPPONENTS.values())


def test_validation_chooses():
    table = choice()
    policies = [lambda t, model=model: ending_best(np.eye(4)[[model + 1]], t, t.tree.stages == 1) for model in range(3)]
    problem: Problem = problem_of(table)
    best = chosen_on_validation(problem, policies)
    worth = [returns(problem.validation, policy(problem.validation), 0.0) for policy in policies]
    assert best is policies[int(np.argmax(worth))]


def test_a_context_is_seen_beside_the_query_and_the_money_spent():
    table = told_at(scout(), (1,), np.ones(160, dtype=bool))
    problem = problem_of(table)
    assert problem.features(table).shape == (160, 8)
    there = problem.features(table, 2, np.array([3, 5]))
    assert there.shape == (2, 17)
    assert there[:, -1] == pytest.approx(4 / problem.train.cost[:, 1:].mean())
