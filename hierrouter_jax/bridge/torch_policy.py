"""The policy of a bundle as a torch module: on any device, in a batch, and part of other torch programs."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.bundle_graph import check_conditions, masked_logits, policy_tensors


class TorchPolicy(nn.Module):
    """A bundle's router in torch, in single precision; its arrays are buffers, so that `.to(device)` moves them.

    Args:
      bundle: bundle of the policy.
    """

    def __init__(self, bundle: PolicyBundle) -> None:
        super().__init__()
        self.bundle = bundle
        self._names = {}
        for name, array in policy_tensors(bundle).items():
            self._names[name] = name.replace("/", "_")
            self.register_buffer(self._names[name], torch.tensor(array))

    def forward(
        self, embedding: Float[Tensor, "B E"], stage: Int[Tensor, " B"], cost: Float[Tensor, " B"], **conditions: Tensor
    ) -> Float[Tensor, "B A"]:
        """Masked logits over the M models and STOP, as `bundle_graph.masked_logits`.

        Args:
          embedding: embeddings of the contexts, by the bundle's encoder.
          stage: number of hops already done in each.
          cost: money that each route has spent already.
          **conditions: arrays that a conditioned policy reads besides, by their names in `bundle_graph.input_names`.

        Raises:
          InputError: if one of those is missing, or another is there.
        """
        check_conditions(self.bundle, conditions)
        tensors = {name: self.get_buffer(buffer) for name, buffer in self._names.items()}
        return masked_logits(torch, self.bundle, tensors, embedding, stage, cost, **conditions)
