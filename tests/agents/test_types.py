"""What a learner's settings refuse and count."""

import pytest

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree


def test_minibatches_must_divide_the_episodes():
    with pytest.raises(ValueError, match="multiple of minibatches"):
        LearnerStatic(num_envs=10, minibatches=4)


def test_updates_must_fill_whole_evaluations():
    with pytest.raises(ValueError, match="multiple of evaluate_every"):
        LearnerStatic(num_updates=7, evaluate_every=5)


@pytest.mark.parametrize("other", [{"cost_conditioned": True}, {"budgeted": True}, {"network": "mine.py:Net"}])
def test_what_a_prior_does_not_go_with_is_refused(other):
    with pytest.raises(ValueError, match="prior"):
        LearnerStatic(prior=True, **other)


def test_what_is_no_learner_or_no_network_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match=r"algorithm 'exakt' is unknown.*exact"):
        LearnerStatic(algorithm="exakt")
    with pytest.raises(InputError, match=r"network 'two-layers' is unknown.*two-layer"):
        LearnerStatic(network="two-layers")
    with pytest.raises(ValueError, match="at least one layer"):
        LearnerStatic(hidden=())
    with pytest.raises(ValueError, match="choose one of them"):
        LearnerStatic(lagrangian=True, cost_conditioned=True)


@pytest.mark.parametrize(("algorithm", "count"), [("ppo", 8 * 2), ("all-actions", 8 * 6), ("exact", 8 * 6 * 4)])
def test_transitions_by_hand(algorithm, count):
    """M = 2, L = 2: a sampled episode has 2 hops, a whole tree 6; the exact learner draws new trees in each epoch."""
    assert LearnerStatic(algorithm=algorithm, num_envs=8, minibatches=2, epochs=4).transitions(HopTree(2, 2)) == count


def test_conditions_are_named_in_their_order():
    assert LearnerStatic(budgeted=True, cost_conditioned=True).conditions == ("cost_weight", "budget")
    assert LearnerStatic(budgeted=True).conditions == ("budget",)
    assert LearnerStatic().conditions == ()
