"""The router's network: two tanh layers over features, a learned stage embedding and the cost spent."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from hierrouter_jax.envs.types import DeviceTable


class RouterNetwork(nn.Module):
    """Shared two-layer trunk with a head for logits over M models and STOP, and a head for the value.

    The paper names a two-layer feed-forward router and a learned stage embedding; widths are ours.

    Attributes:
      num_actions: M + 1.
      horizon: L, rows of the stage embedding.
      hidden: widths of the trunk.
      stage_size: S, width of the stage embedding.
    """

    num_actions: int
    horizon: int
    hidden: tuple[int, ...] = (128, 128)
    stage_size: int = 8

    @nn.compact
    def __call__(
        self, features: Float[Array, "*B F"], stage: Int[Array, "*B"], spent: Float[Array, "*B"]
    ) -> tuple[Float[Array, "*B A"], Float[Array, "*B"]]:
        """Unmasked logits and the value of the state."""
        table = self.param("stage_embedding", nn.initializers.normal(0.5), (self.horizon, self.stage_size))
        hidden = jnp.concatenate([features, table[stage], spent[..., None]], axis=-1)
        for layer, width in enumerate(self.hidden):
            hidden = nn.tanh(
                nn.Dense(width, kernel_init=nn.initializers.orthogonal(2**0.5), name=f"hidden_{layer}")(hidden)
            )
        logits = nn.Dense(self.num_actions, kernel_init=nn.initializers.orthogonal(0.01), name="logits")(hidden)
        value = nn.Dense(1, kernel_init=nn.initializers.orthogonal(1.0), name="value")(hidden)
        return logits, value[..., 0]


def network_outputs(
    network: RouterNetwork,
    params: Any,
    features: Float[Array, "*B F"],
    stage: Int[Array, "*B"],
    spent: Float[Array, "*B"],
) -> tuple[Float[Array, "*B A"], Float[Array, "*B"]]:
    """Unmasked logits and values; `apply` with the types that Flax leaves out."""
    outputs: Any = network.apply(params, features, stage, spent)
    return outputs


def gather_inputs(
    table: DeviceTable, query: Int[Array, "*B"], node: Int[Array, "*B"]
) -> tuple[Float[Array, "*B F"], Int[Array, "*B"], Float[Array, "*B"]]:
    """The network's inputs at decision nodes: features, stage and cost spent; gathered where the network runs."""
    return table.features[query, node], jnp.asarray(table.tree.stages)[node], table.spent[query, node]
