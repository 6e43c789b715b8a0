"""What a sweep gives: a frame, and each member as a router and as a bundle."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.policy_outcome import policy_outcome
from hierrouter_jax.sweeps.result import frame_of, shape_columns, varied_shapes
from tests.sweeps.sweep_run import EXACT, TABLE, run


@pytest.fixture(scope="module")
def result():
    return run(layout="map", seeds=2)


@pytest.mark.parametrize("member", [0, 3])
def test_the_exact_evaluation_is_that_of_the_members_router(result, member):
    test, router = TABLE.split("test"), result.router(member)
    outcome = policy_outcome(test, router.end_probability(test, 0))
    row = result.frame.loc[member]
    assert row.accuracy == pytest.approx(outcome.quality.mean(), abs=1e-6)
    assert row.cost == pytest.approx(outcome.cost.mean(), rel=1e-5)
    returns = outcome.returns(router.hyper.reward.hop_cost, router.features.cost_normaliser)
    assert row["return"] == pytest.approx(returns.mean(), abs=1e-5)
    validation = TABLE.split("validation")
    chosen_on = policy_outcome(validation, router.end_probability(validation, 0))
    assert row.best_accuracy == pytest.approx(chosen_on.quality.mean(), abs=1e-6)


def test_a_bundle_holds_the_members_policy_and_says_which_it_is(result):
    bundle = result.bundle(3)
    assert bundle.provenance | {"learner": "exact", "seed": 1, "member": 3} == bundle.provenance
    assert bundle.table_fingerprint == TABLE.fingerprint
    np.testing.assert_array_equal(bundle.weights["logits/kernel"], result.params(3)["params"]["logits"]["kernel"])


def test_the_best_member_and_all_parameters_stacked(result):
    assert result.best_member == result.frame.best_return.idxmax()
    (stacked,) = result.best_params
    np.testing.assert_array_equal(
        stacked["params"]["logits"]["kernel"][3], result.params(3)["params"]["logits"]["kernel"]
    )
    assert result.curves(0)["ends"].shape == (30,)
    for read in (result.params, result.curves):
        with pytest.raises(InputError, match=r"member is 8, but the sweep's finished members are 0\.\.7"):
            read(8)


def test_columns_tell_shapes_apart_where_they_differ():
    statics = [EXACT, replace(EXACT, hidden=(8,), allow_stop=True)]
    assert varied_shapes(statics) == ["hidden"]
    assert shape_columns(statics, ["hidden", "num_envs"]) == {"hidden": ["[16, 16]", "[8]"], "num_envs": [64, 64]}


def test_costs_of_the_frame_are_money(result):
    raw = frame_of(result.plan, result.finished, None)
    np.testing.assert_allclose(result.frame.cost, raw.cost * result.features.cost_normaliser, rtol=1e-6)
    assert result.frame.diverged.tolist() == [False] * 8
