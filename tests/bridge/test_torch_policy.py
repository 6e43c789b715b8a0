"""The torch module says what the NumPy reader says, and needs the arrays that its policy reads."""

import numpy as np
import pytest
import torch

from hierrouter_jax.bridge.torch_policy import TorchPolicy
from hierrouter_jax.errors import InputError
from tests.bundles import BUNDLES, assert_same_logits, random_states, reference_logits


@pytest.mark.parametrize("name", BUNDLES)
def test_torch_and_numpy_agree_on_ten_thousand_states(name):
    bundle = BUNDLES[name]
    inputs = random_states(bundle)
    with torch.inference_mode():
        logits = TorchPolicy(bundle)(**{key: torch.from_numpy(array) for key, array in inputs.items()})
    assert_same_logits(logits.numpy(), reference_logits(bundle, inputs))


def test_it_is_a_module_like_any_other(tmp_path):
    """Its arrays move and save with it, and gradients reach the embedding."""
    policy = TorchPolicy(BUNDLES["plain"])
    assert not list(policy.parameters())
    torch.save(policy.state_dict(), tmp_path / "state.pt")
    other = TorchPolicy(BUNDLES["prior"])
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict(torch.load(tmp_path / "state.pt"))
    embedding = torch.zeros((2, len(BUNDLES["plain"].reduction.mean)), requires_grad=True)
    policy(embedding, torch.tensor([0, 1]), torch.zeros(2))[:, 0].sum().backward()
    assert embedding.grad is not None
    assert (embedding.grad != 0).any()
    double = policy.to(torch.float64)(embedding.double(), torch.tensor([0, 1]), torch.zeros(2).double())
    assert double.dtype == torch.float64


def test_arrays_that_it_does_not_read_are_refused():
    bundle = BUNDLES["budgeted"]
    inputs = {key: torch.from_numpy(array) for key, array in random_states(bundle, 2).items()}
    with pytest.raises(InputError, match="the policy reads charges, which is missing"):
        TorchPolicy(bundle)(**{name: one for name, one in inputs.items() if name != "charges"})
    with pytest.raises(InputError, match="cost_weight is given"):
        TorchPolicy(bundle)(**inputs, cost_weight=torch.from_numpy(np.ones(2, np.float32)))
