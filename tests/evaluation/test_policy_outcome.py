"""Per-query outcomes by hand: flips, hops, costs."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome, ending_at, flips, policy_outcome
from hierrouter_jax.hop_tree import HopTree
from tests.tables import random_table


def test_flips_by_hand():
    """M = 1, L = 4; wrong, right, wrong, right: repaired at hop 2, damaged at hop 3; hop 1 changes nothing."""
    quality = np.array([[0.0, 0.0, 1.0, 0.0, 1.0]], dtype=np.float32)
    repaired, damaged = flips(quality, HopTree(1, 4))
    assert repaired.tolist() == [[False, False, True, True, True]]
    assert damaged.tolist() == [[False, False, False, True, True]]


@pytest.mark.parametrize(
    ("right", "repaired", "damaged"),
    [([0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 0]), ([0, 1, 1, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 1, 1])],
)
def test_hops_that_leave_an_answer_as_wrong_or_as_right_flip_nothing(right, repaired, damaged):
    found = flips(np.array([right], dtype=np.float32), HopTree(1, 4))
    assert [one.astype(int).tolist() for one in found] == [[repaired], [damaged]]


def test_an_answer_of_quality_one_half_is_right():
    repaired, _ = flips(np.array([[0.0, 0.4, 0.5]], dtype=np.float32), HopTree(1, 2))
    assert repaired.tolist() == [[False, False, True]]


def test_a_deterministic_policy_by_hand():
    table = random_table(queries=2)
    node = table.tree.node([1, 2])
    outcome = policy_outcome(table, ending_at(np.array([node, node]), table.tree))
    first, second = table.tree.path(node)
    np.testing.assert_allclose(outcome.quality, table.quality[:, node])
    np.testing.assert_allclose(outcome.cost, table.cost[:, first] + table.cost[:, second])
    assert outcome.hops.tolist() == [2.0, 2.0]


def test_a_mixed_policy_is_the_weighted_mean():
    table = random_table(queries=1)
    ends = 0.3 * ending_at(np.array([1]), table.tree) + 0.7 * ending_at(np.array([2]), table.tree)
    outcome = policy_outcome(table, ends)
    assert outcome.quality[0] == pytest.approx(0.3 * table.quality[0, 1] + 0.7 * table.quality[0, 2])
    assert outcome.returns(0.1, 2.0)[0] == pytest.approx(outcome.quality[0] - 0.05 * outcome.cost[0])


def test_returns_and_means_over_replicates_by_hand():
    """Qualities 1, 0, .5 and costs 2, 4, 6 at weight .1 over a call of 2; the first two are one question."""
    values = np.array([[1.0, 0.0, 0.5], [2.0, 4.0, 6.0], [1.0, 2.0, 3.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    outcome = PolicyOutcome(*values)
    assert outcome.returns(0.1, 2.0) == pytest.approx([0.9, -0.2, 0.2])
    merged = outcome.by_question(np.array([0, 0, 1]))
    assert (merged.quality.tolist(), merged.cost.tolist()) == ([0.5, 0.5], [3.0, 6.0])
    assert (merged.hops.tolist(), merged.repaired.tolist()) == ([1.5, 3.0], [0.5, 0.0])


def test_impossible_ends_are_refused():
    table = random_table(queries=2)
    with pytest.raises(ValueError, match="sum to 1"):
        policy_outcome(table, np.zeros(table.quality.shape))
    available = table.available.copy()
    available[0, 39] = False
    with pytest.raises(ValueError, match="does not hold"):
        policy_outcome(replace(table, available=available), ending_at(np.array([39, 39]), table.tree))
