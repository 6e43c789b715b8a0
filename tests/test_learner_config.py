"""What a learner is set to is plain until JAX computes with it, and then a pytree of its numbers."""

import jax
import pytest

from hierrouter_jax.agents import types
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.learner_config import LearnerHyper, LearnerStatic, Range, RewardWeights


def test_numbers_are_leaves_and_shapes_are_not():
    assert types.LearnerHyper is LearnerHyper
    leaves = jax.tree.leaves(LearnerHyper(reward=RewardWeights(custom={"mine.py:term": 2.0})))
    assert len(leaves) == 19 + 16 + 1 + 4  # of the learner, the reward, the term of one's own and the two ranges
    assert jax.tree.map(lambda leaf: 2 * leaf, Range(1.0, 3.0)) == Range(2.0, 6.0)
    assert hash(LearnerStatic()) == hash(LearnerStatic())


def test_a_field_is_replaced_and_checked_again():
    assert LearnerHyper().replace(clip=0.3).clip == 0.3
    with pytest.raises(InputError, match="clip is -1"):
        LearnerHyper().replace(clip=-1)
    with pytest.raises(InputError, match="low must be below high"):
        Range(3.0, 1.0)


def test_transitions_by_hand():
    """Two models and two hops: six hops a tree, two an episode."""
    tree = HopTree(2, 2)
    assert LearnerStatic(num_envs=8, minibatches=4).transitions(tree) == 8 * 2
    assert LearnerStatic("all-actions", num_envs=8).transitions(tree) == 8 * 6
    assert LearnerStatic("exact", num_envs=8, epochs=3).transitions(tree) == 8 * 6 * 3


def test_conditions_are_named_in_order():
    assert LearnerStatic(cost_conditioned=True, budgeted=True).conditions == ("cost_weight", "budget")
    assert LearnerStatic().conditions == ()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"algorithm": "pop"}, "algorithm 'pop' is unknown; did you mean ppo"),
        ({"network": "three"}, "network 'three' is unknown"),
        ({"num_updates": 7}, r"num_updates \(7\) must be a multiple of evaluate_every \(5\)"),
        ({"num_envs": 6}, r"num_envs \(6\) must be a multiple of minibatches \(4\)"),
        ({"hidden": ()}, "hidden needs the width of at least one layer"),
        ({"lagrangian": True, "cost_conditioned": True}, "choose one of them"),
        ({"prior": True, "budgeted": True}, "prior plans for one cost weight"),
        ({"prior": True, "network": "mine.py:Net"}, "prior goes with the two-layer network only"),
    ],
)
def test_impossible_shapes_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        LearnerStatic(**wrong)
