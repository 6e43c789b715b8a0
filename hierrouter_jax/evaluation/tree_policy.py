"""A network run over every decision node of a table at once."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.exact import decision_masks
from hierrouter_jax.policies.conditions import NONE, ConditionRanges, Conditions, inputs
from hierrouter_jax.policies.masking import masked_log_probs
from hierrouter_jax.policies.network import PolicyInputs, RouterNetwork, network_outputs

# Decision nodes that go through the network at once, so that a large table needs no large activations.
_ROWS_AT_ONCE = 65_536


def decision_logits(
    network: RouterNetwork,
    params: Any,
    table: DeviceTable,
    conditions: Conditions = NONE,
    ranges: ConditionRanges | None = None,
) -> Float[Array, "Q D A"]:
    """Unmasked logits at the D decision nodes of the table's Q queries.

    Args:
      conditions: one value a query [Q], where the policy is conditioned; then `ranges` scale them.
    """
    decisions = table.tree.num_decision_nodes
    stages = jnp.asarray(table.tree.stages[:decisions])

    def of_query(row: tuple[Float[Array, "D F"], Float[Array, " D"], Conditions]) -> Float[Array, "D A"]:
        features, spent, told = row
        seen = PolicyInputs(features, stages, spent, inputs(told, spent, ranges or ConditionRanges()))
        return network_outputs(network, params, seen)[0]

    rows = (table.features, table.spent[:, :decisions], conditions)
    at_once = max(1, _ROWS_AT_ONCE // decisions)
    if table.num_queries <= at_once:
        return jax.vmap(of_query)(rows)

    def part(logits: Float[Array, "Q D A"], index: Int[Array, ""]) -> tuple[Float[Array, "Q D A"], None]:
        """The last part is moved up to end with the table; slicing the table into equal parts would copy it."""
        start = jnp.minimum(index * at_once, table.num_queries - at_once)
        some = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, start, at_once), rows)
        return jax.lax.dynamic_update_slice_in_dim(logits, jax.vmap(of_query)(some), start, axis=0), None

    blank = jnp.zeros((table.num_queries, decisions, network.num_actions), table.spent.dtype)
    return jax.lax.scan(part, blank, jnp.arange(-(-table.num_queries // at_once)))[0]


def log_policy(
    params: Any,
    table: DeviceTable,
    told: Conditions,
    network: RouterNetwork,
    allow_stop: bool,
    ranges: ConditionRanges,
) -> tuple[Float[Array, "Q D A"], Bool[Array, "Q D A"]]:
    """Logarithms of the policy's probabilities at every decision node, and which actions are legal."""
    mask = decision_masks(table, allow_stop, told.budget)
    return masked_log_probs(decision_logits(network, params, table, told, ranges), mask), mask


def entropies(log_probs: Float[Array, "Q D A"], mask: Bool[Array, "Q D A"]) -> Float[Array, "Q D"]:
    """Entropy of the policy at every decision node, in nats."""
    return -jnp.sum(jnp.where(mask, jnp.exp(log_probs) * log_probs, 0.0), axis=-1)
