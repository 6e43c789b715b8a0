"""Guidance: its schedule by hand, that it is gone at the end, and that no learner stays in a local optimum with it."""

import chex
import jax
import jax.numpy as jnp
import pytest

from hierrouter_jax.agents import exact, learner
from hierrouter_jax.agents.guidance import guidance_share, guide, optimal_policy
from hierrouter_jax.agents.types import LearnerHyper
from hierrouter_jax.envs.routing import decision_masks
from hierrouter_jax.evaluation.exact import expected_return
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.policies.conditions import NONE
from hierrouter_jax.policies.network import build_network
from scripts.local_optima import TABLES, optimum, shares_of_optimum
from tests.agents.trees import FIXED, SMALL, on_device
from tests.tables import random_table

LEAST = {"exact": 0.98, "all-actions": 0.93, "ppo": 0.95}  # shares of the optimum
QUICK = [("trap M3 L3 STOP", "exact"), ("trap M3 L3 STOP", "ppo")]
LONG = [pair for pair in ((name, one) for name in TABLES for one in LEAST) if pair not in QUICK]


def test_the_share_falls_linearly_by_hand():
    """From .8, to be gone after half of the updates: .4 after a quarter; none on one hop."""
    hyper = LearnerHyper(guidance=0.8, guidance_until=0.5)
    shares = [float(guidance_share(hyper, jnp.asarray(at), HopTree(3, 2))) for at in (0.0, 0.25, 0.5, 0.9)]
    assert shares == pytest.approx([0.8, 0.4, 0.0, 0.0])
    assert float(guidance_share(hyper, jnp.zeros(()), HopTree(3, 1))) == 0.0
    none = LearnerHyper(guidance=0.8, guidance_until=0.0)
    assert float(guidance_share(none, jnp.zeros(()), HopTree(3, 2))) == 0.0


@pytest.mark.parametrize("allow_stop", [False, True])
def test_the_best_actions_reach_the_best_return(allow_stop):
    table, hyper = on_device(random_table(queries=20, missing=0.3)), LearnerHyper()
    mask = decision_masks(table, allow_stop)
    best = optimal_policy(table, mask, NONE, hyper)
    chex.assert_trees_all_close(best.sum(axis=-1), jnp.ones(best.shape[:2]), atol=1e-6)
    reached = float(jnp.mean(expected_return(best, table, hyper.reward)))
    assert reached == pytest.approx(optimum(table, hyper, allow_stop), abs=1e-6)
    chex.assert_trees_all_close(guide(0.25, table, mask, NONE, hyper), 0.25 * best)
    assert not guide(0.0, table, mask, NONE, hyper).any()


def test_under_guidance_the_objective_is_the_mixed_policys_return():
    table = on_device(random_table(queries=10))
    state = learner.init(jax.random.key(0), table, SMALL, FIXED)
    network = build_network(table, SMALL)
    values = [
        float(exact.objective(state.params, table, NONE, network, SMALL, FIXED, 0.0, share)[0])
        for share in (0.0, 0.5, 1.0)
    ]
    assert -values[2] == pytest.approx(optimum(table, FIXED, allow_stop=False), abs=1e-6)
    assert values[0] > values[1] > values[2]


@pytest.mark.parametrize(("name", "algorithm"), QUICK)
def test_no_local_optimum_holds_it(name, algorithm):
    shares, _ = shares_of_optimum(name, algorithm)
    assert min(shares) >= LEAST[algorithm]


def test_without_guidance_the_trap_holds_it():
    shares, _ = shares_of_optimum("trap M3 L3 STOP", "exact", hyper={"guidance": 0.0})
    assert max(shares) < 0.95


@pytest.mark.extended
@pytest.mark.parametrize(("name", "algorithm"), LONG)
def test_no_local_optimum_holds_it_on_any_table(name, algorithm):
    shares, _ = shares_of_optimum(name, algorithm, seeds=3)
    assert min(shares) >= LEAST[algorithm]
