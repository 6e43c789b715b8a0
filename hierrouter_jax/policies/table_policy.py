"""A network run over every decision node of a table at once."""

import jax.numpy as jnp
from flax.core import FrozenDict
from jaxtyping import Array, Float

from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.policies.network import RouterNetwork, gather_inputs, network_outputs


def decision_logits(network: RouterNetwork, params: FrozenDict | dict, table: DeviceTable) -> Float[Array, "Q D A"]:
    """Unmasked logits at the D decision nodes of the table's Q queries."""
    query = jnp.arange(table.num_queries)[:, None]
    node = jnp.broadcast_to(
        jnp.arange(table.tree.num_decision_nodes), (table.num_queries, table.tree.num_decision_nodes)
    )
    logits, _ = network_outputs(network, params, *gather_inputs(table, jnp.broadcast_to(query, node.shape), node))
    return logits
