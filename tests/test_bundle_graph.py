"""The policy as one function of arrays says what the NumPy reader says, and nothing of another policy."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hierrouter_jax.bundle_graph import check_conditions, input_names, network_tensors, policy_logits
from hierrouter_jax.errors import InputError
from tests.bundles import BUNDLES, assert_same_logits, random_states, reference_logits


@pytest.mark.parametrize("name", BUNDLES)
def test_the_function_is_the_numpy_reader(name):
    bundle = BUNDLES[name]
    inputs = random_states(bundle)
    assert tuple(inputs) == input_names(bundle)
    ours = policy_logits(np, bundle, network_tensors(bundle, "NumPy"), **inputs)
    assert_same_logits(ours, reference_logits(bundle, inputs))


@pytest.mark.parametrize(
    "weights",
    [{}, {"route/task": np.zeros(3)}, BUNDLES["plain"].weights | {"attention/kernel": np.zeros((2, 2))}],
)
def test_a_policy_that_is_no_such_network_is_refused(weights):
    other = SimpleNamespace(kind="sequence", weights=weights, num_layers=2, reduction=BUNDLES["plain"].reduction)
    with pytest.raises(InputError, match=r"the policy is of the kind sequence, .* but torch can express a network"):
        network_tensors(other, "torch")  # pyright: ignore[reportArgumentType]


def test_missing_and_needless_conditions_are_named():
    with pytest.raises(InputError, match="the policy reads charges, which is missing; it reads embedding, stage, cost"):
        check_conditions(BUNDLES["budgeted"], {"budget": 1.0})
    with pytest.raises(InputError, match="cost_weight is given, but the policy was not trained to be told one"):
        check_conditions(BUNDLES["plain"], {"cost_weight": 1.0})
    assert replace(BUNDLES["plain"]).fingerprint == BUNDLES["plain"].fingerprint
