"""The policy as one function of arrays says what the NumPy reader says."""

from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.bundle_graph import check_conditions, input_names, masked_logits, policy_tensors
from hierrouter_jax.errors import InputError
from tests.bundles import BUNDLES, assert_same_logits, random_states, reference_logits


@pytest.mark.parametrize("name", BUNDLES)
def test_the_function_is_the_numpy_reader(name):
    bundle = BUNDLES[name]
    inputs = random_states(bundle)
    assert tuple(inputs) == input_names(bundle)
    ours = masked_logits(np, bundle, policy_tensors(bundle), **inputs)
    assert_same_logits(ours, reference_logits(bundle, inputs))


def test_missing_and_needless_conditions_are_named():
    with pytest.raises(InputError, match="the policy reads charges, which is missing; it reads embedding, stage, cost"):
        check_conditions(BUNDLES["budgeted"], {"budget": 1.0})
    with pytest.raises(InputError, match="cost_weight is given, but the policy was not trained to be told one"):
        check_conditions(BUNDLES["plain"], {"cost_weight": 1.0})
    assert replace(BUNDLES["plain"]).fingerprint == BUNDLES["plain"].fingerprint
