"""What every opponent gets: features, the choice on validation, and walks over what a table holds."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.baselines.problem import best_available, chosen_on_validation, ending_best, returns, walk
from hierrouter_jax.baselines.registry import Problem
from hierrouter_jax.outcomes.table import OutcomeTable
from tests.baselines.known_tables import choice, problem_of, scout, told_at
from tests.tables import random_table


def test_validation_chooses():
    table = choice()
    policies = [
        lambda t, model=model: ending_best(np.eye(4)[[model + 1]], t, t.tree.stages == 1, np.arange(4))
        for model in range(3)
    ]
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


def gaps() -> OutcomeTable:
    """M = 2, L = 2, two queries; of query 1 only model 0's answer, node 1, was run."""
    table = random_table(queries=2, models=2, horizon=2)
    available = np.array([[True] * 7, [True, True, False, False, False, False, False]])
    return replace(table, available=available)


def test_the_best_candidate_is_taken_among_those_that_were_run():
    """Scores rise with the node: 6 and, for query 1, the only candidate 1; of candidates 2 and 6 it has neither."""
    table, scores = gaps(), np.arange(7.0)[None]
    order = np.arange(7)
    every, some = np.ones(7, bool), np.isin(np.arange(7), (2, 6))
    assert best_available(scores, table, every, order).tolist() == [6, 1]
    assert best_available(scores, table, some, order).tolist() == [6, 1]
    assert best_available(-scores, table, some, order).tolist() == [2, 1]
    np.testing.assert_array_equal(ending_best(-scores, table, some, order), np.eye(7)[[2, 1]])


def test_a_mean_return_by_hand():
    """Ends at nodes 2 and 1: qualities 1 and .5, costs of one call each, a half of which is weighed in."""
    table = gaps()
    quality = table.quality.copy()
    quality[0, 2], quality[1, 1] = 1.0, 0.5
    table = replace(table, quality=quality)
    cost = (float(table.cost[0, 2]) + float(table.cost[1, 1])) / 2
    assert returns(table, np.eye(7)[[2, 1]], 0.5) == pytest.approx(0.75 - 0.5 * cost)


def test_a_walk_goes_to_the_best_legal_action_of_every_node():
    """Model 1 is preferred, then model 0; STOP is preferred to both after model 1, where it is allowed."""

    def scores(node, rows):
        return np.tile([1.0, 2.0, 3.0 if node == 2 else np.nan], (len(rows), 1))

    table = gaps()
    np.testing.assert_array_equal(walk(table, scores, True, (2, 0, 1)), np.eye(7)[[2, 1]])
    np.testing.assert_array_equal(walk(table, scores, False, (2, 0, 1)), np.eye(7)[[6, 1]])
