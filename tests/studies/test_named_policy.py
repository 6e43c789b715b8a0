"""Policies by name: a run, a bundle, or one that needs no training; and what they do on a whole table."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.exploration import Exploration
from hierrouter_jax.studies.choice import bundle_ends
from hierrouter_jax.studies.named_policy import UNTRAINED, named_policy, tree_logits, tree_probs
from hierrouter_jax.studies.simulate import legal_actions
from tests.studies.test_simulate import value
from tests.tables import random_table

TABLE = random_table(queries=60, missing=0.1)
GREEDY = Exploration()


@pytest.fixture(scope="module")
def plan():
    return named_policy("predict-then-plan+stop", TABLE)


@pytest.mark.parametrize("name", UNTRAINED)
def test_every_name_is_a_policy_that_stops_as_its_name_says(name):
    bundle = named_policy(name, TABLE)
    assert bundle.provenance["learner"] == name
    assert bundle.may_stop == name.endswith("+stop")


def test_a_greedy_policy_ends_where_its_bundle_does(plan):
    """The value of the greedy probabilities is the quality of the nodes that the bundle's own routes end at."""
    probs = tree_probs(plan, TABLE, GREEDY)
    ends = bundle_ends(plan, TABLE)
    for query in range(TABLE.num_queries):
        assert value(TABLE, probs, query)[0] == pytest.approx(float((ends[query] * TABLE.quality[query]).sum()))


def test_probabilities_are_of_what_can_be_taken(plan):
    legal = legal_actions(TABLE, True)
    probs = tree_probs(plan, TABLE, Exploration("epsilon", 0.5))
    np.testing.assert_allclose(probs.sum(axis=-1), 1)
    decided = legal.any(axis=-1)
    assert ((probs > 0) == legal)[decided].all()
    assert (probs[~decided][:, -1] == 1).all()


def test_a_temperature_is_of_the_policys_logits_by_hand(plan):
    logits = tree_logits(plan, TABLE)[0, 0, :3]
    legal = legal_actions(TABLE, True)[0, 0, :3]
    weights = np.exp(logits / 0.5) * legal
    probs = tree_probs(plan, TABLE, Exploration("softmax", 0.5))[0, 0]
    np.testing.assert_allclose(probs, [*(weights / weights.sum()), 0.0])


def test_a_bundle_and_a_run_are_named_by_their_folders(plan, tmp_path):
    plan.save(tmp_path / "run" / "policy")
    for folder in (tmp_path / "run" / "policy", tmp_path / "run"):
        assert named_policy(str(folder), TABLE).fingerprint == plan.fingerprint


def test_names_and_pools_that_do_not_fit_are_refused(plan, tmp_path):
    with pytest.raises(InputError, match=r"nothing: is neither a run nor a bundle, .* known are predict-then-plan"):
        named_policy("nothing", TABLE)
    with pytest.raises(InputError, match="did you mean predict-then-plan"):
        named_policy("predict-than-plan", TABLE)
    plan.save(tmp_path)
    with pytest.raises(InputError, match="routes m0, m1, m2 for 3 hops, but the table holds m0, m1 for 3"):
        named_policy(str(tmp_path), random_table(models=2))
    other = replace(TABLE, encoder={"kind": "ngrams", "size": 16})
    with pytest.raises(InputError, match=r"reads embeddings of the encoder .*: 8}, but the table's are of .*: 16}"):
        named_policy(str(tmp_path), other)
    with pytest.raises(InputError, match="is no policy of a table of 1 hop"):
        named_policy("best-single-per-task+stop", random_table(queries=60, horizon=1))
