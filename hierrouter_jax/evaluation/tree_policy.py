"""A policy run over every decision node of a table at once: the one place that does it."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from hierrouter_jax.envs.routing import decision_masks
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.exact import end_probability
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.policies.conditions import NONE, ConditionRanges, Conditions, inputs
from hierrouter_jax.policies.masking import masked_log_probs
from hierrouter_jax.policies.network import Network, PolicyInputs, PolicyStatic, build_network, network_outputs

# Decision nodes that go through the network at once, so that a large table needs no large activations.
_ROWS_AT_ONCE = 65_536


@struct.dataclass
class TreePolicy:
    """A policy at all decision nodes of Q queries: what it prefers and what it may do.

    Attributes:
      logits: unmasked preferences for the M models and STOP [Q, D, A]; higher is preferred.
      mask: whether each action is legal [Q, D, A], bool.
      tree: the hop tree that the D decision nodes belong to; static.
      tie_order: actions in the order in which they win ties; static. Empty: by index.
    """

    logits: Float[Array, "Q D A"]
    mask: Bool[Array, "Q D A"]
    tree: HopTree = struct.field(pytree_node=False)
    tie_order: tuple[int, ...] = struct.field(pytree_node=False, default=())

    def log_probs(self) -> Float[Array, "Q D A"]:
        """Logarithms of the stochastic policy's probabilities."""
        return masked_log_probs(self.logits, self.mask)

    def greedy(self) -> Float[Array, "Q D A"]:
        """The deterministic policy that takes the best legal action, as probabilities."""
        return greedy(self.logits, self.mask, self.tie_order)

    def greedy_ends(self) -> Float[Array, "Q N"]:
        """Probability, 0 or 1, that the greedy policy answers with each node's response; rows sum to 1."""
        return end_probability(self.greedy(), self.tree)


def run_policy(
    static: PolicyStatic,
    params: Any,
    table: DeviceTable,
    conditions: Conditions = NONE,
    ranges: ConditionRanges | None = None,
) -> TreePolicy:
    """`run_network` with the network and the legality of STOP that a learner's settings name."""
    return run_network(build_network(table, static), params, table, conditions, static.allow_stop, ranges)


def run_network(
    network: Network,
    params: Any,
    table: DeviceTable,
    conditions: Conditions,
    allow_stop: bool,
    ranges: ConditionRanges | None = None,
) -> TreePolicy:
    """What a network prefers, and which actions are legal, at every decision node of the table.

    Args:
      conditions: the cost weight and the budget of each query [Q], or None for each that the policy has not.
      allow_stop: whether STOP is legal after the first hop; under a budget it always is.
      ranges: the bounds that scale the conditions for the network.
    """
    mask = decision_masks(table, allow_stop, conditions.budget)
    return TreePolicy(decision_logits(network, params, table, conditions, ranges), mask, table.tree, table.tie_order)


def decision_logits(
    network: Network,
    params: Any,
    table: DeviceTable,
    conditions: Conditions = NONE,
    ranges: ConditionRanges | None = None,
) -> Float[Array, "Q D A"]:
    """Unmasked logits at the D decision nodes of the table's Q queries; arguments as in `run_network`."""
    decisions = table.tree.num_decision_nodes
    stages = jnp.asarray(table.tree.stages[:decisions])

    def of_query(row: tuple[Float[Array, "D F"], Float[Array, " D"], Conditions]) -> Float[Array, "D A"]:
        features, spent, query_conditions = row
        scaled = inputs(query_conditions, spent, ranges or ConditionRanges())
        return network_outputs(network, params, PolicyInputs(features, stages, spent, scaled))[0]

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


def greedy(
    logits: Float[Array, "Q D A"], mask: Bool[Array, "Q D A"], tie_order: tuple[int, ...] = ()
) -> Float[Array, "Q D A"]:
    """The deterministic policy that takes the best legal action, as probabilities; arguments as in `best_actions`."""
    best = best_actions(jnp.where(mask, logits, -jnp.inf), tie_order)
    return (best[..., None] == jnp.arange(logits.shape[-1])).astype(jnp.float32)


def best_actions(scores: Float[Array, "*B A"], tie_order: tuple[int, ...] = ()) -> Int[Array, "*B"]:
    """The action of the highest score.

    Args:
      tie_order: actions in the order in which they win ties (`outcomes/ties.py`); by index where it is empty.
    """
    if not tie_order:
        return jnp.argmax(scores, axis=-1)
    order = jnp.asarray(tie_order)
    return order[jnp.argmax(scores[..., order], axis=-1)]


def mean_scores(ends: Float[Array, "Q N"], table: DeviceTable) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean accuracy, and mean cost over the normaliser, of a policy that answers at node n with probability `ends`."""
    return jnp.mean(jnp.sum(ends * table.quality, axis=1)), jnp.mean(jnp.sum(ends * table.spent, axis=1))
