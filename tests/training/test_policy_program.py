"""The compiled function and its StableHLO say what the NumPy reader says."""

import jax
import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.training.policy_program import PLATFORMS, jax_policy, stablehlo
from tests.bundles import BUNDLES, assert_same_logits, random_states, reference_logits


@pytest.mark.parametrize("name", BUNDLES)
def test_jax_and_numpy_agree_on_ten_thousand_states(name):
    bundle = BUNDLES[name]
    inputs = random_states(bundle)
    assert_same_logits(np.asarray(jax_policy(bundle)(**inputs)), reference_logits(bundle, inputs))


@pytest.mark.parametrize("name", ["plain", "conditioned"])
def test_stablehlo_and_numpy_agree_on_ten_thousand_states_and_on_one(name):
    bundle = BUNDLES[name]
    program = jax.export.deserialize(bytearray(stablehlo(bundle)))
    assert program.platforms == PLATFORMS
    inputs = random_states(bundle) | {"stage": random_states(bundle)["stage"].astype(np.int32)}
    logits = np.asarray(program.call(**inputs))
    assert_same_logits(logits, reference_logits(bundle, inputs))
    single = program.call(**{key: array[:1] for key, array in inputs.items()})
    np.testing.assert_allclose(np.asarray(single), logits[:1], atol=1e-5)
    assert "stablehlo" in program.mlir_module()


def test_arrays_that_it_does_not_read_are_refused():
    inputs = random_states(BUNDLES["budgeted"], 2)
    with pytest.raises(InputError, match="cost_weight is given"):
        jax_policy(BUNDLES["budgeted"])(**inputs, cost_weight=np.ones(2, np.float32))
    del inputs["charges"]
    with pytest.raises(InputError, match="the policy reads charges, which is missing"):
        jax_policy(BUNDLES["budgeted"])(**inputs)
