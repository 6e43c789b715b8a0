"""A trained router: which seed is chosen, what it is told, where it ends, and what leaves in its bundle."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.envs.rewards import RewardWeights
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.policy_outcome import ending_at, policy_outcome
from hierrouter_jax.training.features import fit_features
from hierrouter_jax.training.router import TrainedRouter, router_cost
from hierrouter_jax.training.settings import static_of
from tests.tables import random_table

TABLE = random_table(queries=30, models=2, horizon=2)
STATIC = LearnerStatic(num_envs=16, minibatches=1, hidden=(8,), stage_size=2)


@pytest.fixture(scope="module")
def router() -> TrainedRouter:
    """Three seeds that have not learned anything: the second diverged, the third is the best on validation."""
    features, static = fit_features(TABLE.split("train"), 4), static_of("exact+stop", STATIC)
    device, keys = features.on_device(TABLE.split("train")), jax.vmap(jax.random.key)(np.arange(3))
    state = jax.vmap(lambda key: learner.init(key, device, static, LearnerHyper()))(keys)
    state = replace(state, best_return=np.array([0.3, -np.inf, 0.5]))
    return TrainedRouter("exact+stop", static, LearnerHyper(reward=RewardWeights(hop_cost=0.2)), state, features)


def always(router: TrainedRouter, action: int) -> TrainedRouter:
    """The router with the logit of one action above all others, whatever it sees."""
    params = jax.tree.map(np.array, router.state.best_params)
    params["params"]["logits"]["kernel"][:] = 0
    params["params"]["logits"]["bias"][:] = np.eye(3)[action]
    return replace(router, state=replace(router.state, best_params=params))


def test_the_best_seed_on_validation_is_chosen_and_a_diverged_one_never(router):
    assert router.chosen_seed == 2
    assert router.diverged.tolist() == [False, True, False]
    all_lost = replace(router, state=replace(router.state, best_return=np.full(3, -np.inf)))
    assert all_lost.chosen_seed == 0
    stuck = jax.tree.map(
        lambda leaf: np.where(np.arange(3).reshape(3, *[1] * (leaf.ndim - 1)) == 1, np.nan, leaf), router.state.params
    )
    assert replace(router, state=replace(router.state, params=stuck)).stranded.tolist() == [False, True, False]


def test_where_a_policy_ends_by_hand(router):
    """Always the first model, twice: node 3. Stopping whenever it may: after the first call."""
    tree = TABLE.tree
    assert np.flatnonzero(always(router, 0).end_probability(TABLE, 0)[0]).tolist() == [tree.child(tree.child(0, 0), 0)]
    ends = always(router, 2).end_probability(TABLE, 0)
    assert set(np.flatnonzero(ends.any(axis=0))) <= {1, 2}
    assert ends.sum(axis=1).tolist() == [1.0] * 30
    assert router.may_stop
    assert not replace(router, static=static_of("exact", STATIC)).may_stop


def test_what_a_conditioned_router_is_told(router):
    assert router.conditions(3).names == ()
    told = replace(router, static=replace(router.static, cost_conditioned=True, budgeted=True))
    default, own = told.conditions(2), told.conditions(2, 0.7, 3 * router.features.cost_normaliser)
    assert (default.cost_weight.tolist(), default.budget.tolist()) == (pytest.approx([0.2, 0.2]), [np.inf, np.inf])
    assert (own.cost_weight.tolist(), own.budget.tolist()) == (pytest.approx([0.7] * 2), pytest.approx([3.0] * 2))
    with pytest.raises(InputError, match=r"a cost weight is given, but exact\+stop was not trained to be told one"):
        router.end_probability(TABLE, 0, cost_weight=0.1)


def test_a_bundle_holds_the_chosen_seeds_policy(router):
    bundle = router.bundle(TABLE)
    assert (bundle.allow_stop, bundle.horizon, bundle.cost_weight) == (True, 2, 0.2)
    assert bundle.provenance | {"learner": "exact+stop", "seed": 2} == bundle.provenance
    np.testing.assert_array_equal(bundle.weights["logits/kernel"], router.params(2)["params"]["logits"]["kernel"])
    with pytest.raises(InputError, match=r"exact\+stop, seed 1: training diverged"):
        router.bundle(TABLE, 1)
    later = replace(router, seeds=(20, 21, 22))  # trained with --train.seed 20
    assert later.bundle(TABLE).provenance["seed"] == 22
    assert later.bundle(TABLE, 0).provenance["seed"] == 20
    own = replace(router, static=replace(router.static, network="mine.py:Network"))
    assert not own.exportable
    with pytest.raises(InputError, match="can be trained, evaluated and compared, not exported"):
        own.bundle(TABLE)


def test_what_deciding_costs_by_hand(router):
    """Two decisions for a route that stops after one call; multiply-adds at the mean price of a parameter."""
    one_call = policy_outcome(TABLE, ending_at(np.full(30, 1), TABLE.tree))
    two_calls = policy_outcome(TABLE, ending_at(np.full(30, 3), TABLE.tree))
    decision = 8 * 4 + (4 + 2 + 1) * 8 + 8 * 3  # reduction, hidden layer, logits
    rate = np.mean([0.1 / 1000, 0.2 / 2000])
    np.testing.assert_allclose(router_cost(router, one_call, TABLE), 2 * decision * rate)
    np.testing.assert_allclose(router_cost(router, two_calls, TABLE), 2 * decision * rate)
    fixed = replace(router, static=static_of("exact", STATIC))
    np.testing.assert_allclose(router_cost(fixed, one_call, TABLE), 1 * decision * rate)
    lost = replace(router, state=replace(router.state, best_return=np.full(3, -np.inf)))
    np.testing.assert_allclose(router_cost(lost, one_call, TABLE), 2 * decision * rate)  # its shapes are there
