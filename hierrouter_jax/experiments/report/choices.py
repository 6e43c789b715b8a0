"""What a trained router would do everywhere: its probabilities at every decision node, and where it ends."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.agents import learner
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.exact import decision_masks
from hierrouter_jax.experiments.budgets import check_charges
from hierrouter_jax.experiments.routers import TrainedRouter
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.policies.categorical import masked_log_probs
from hierrouter_jax.policies.table_policy import decision_logits


@dataclass(frozen=True)
class Choices:
    """A router on the Q queries of a table.

    Attributes:
      probabilities: pi(a | n) at the D decision nodes, STOP last; rows sum to 1.
      ends: node at which the greedy policy answers each query.
    """

    probabilities: Float[np.ndarray, "Q D A"]
    ends: Int[np.ndarray, " Q"]


def choices(router: TrainedRouter, table: OutcomeTable) -> Choices:
    """The chosen seed's policy, under the cost weight of its run and without a budget where it is told either."""
    check_charges(table, router.static)
    device = router.features.on_device(table)
    conditions = router.conditions(table.num_queries)
    network = learner.build_network(device, router.static)

    @jax.jit
    def log_probs(params: Any, device: DeviceTable) -> Any:
        logits = decision_logits(network, params, device, conditions, router.hyper.ranges)
        return masked_log_probs(logits, decision_masks(device, router.static.allow_stop, conditions.budget))

    logs = np.asarray(log_probs(router.params(router.chosen_seed), device))
    return Choices(np.exp(logs), greedy_ends(logs, table.tree))


def greedy_ends(preference: Float[np.ndarray, "Q D A"], tree: HopTree) -> Int[np.ndarray, " Q"]:
    """Where taking the most preferred action everywhere ends, ties to the lowest index."""
    best = preference.argmax(axis=-1)
    queries, nodes = np.arange(len(best)), np.zeros(len(best), dtype=int)
    for stage in range(tree.horizon):
        here = tree.stages[nodes] == stage  # the others have stopped
        taken = best[queries, np.minimum(nodes, tree.num_decision_nodes - 1)]
        nodes = np.where(here & (taken < tree.num_models), tree.child(nodes, taken), nodes)
    return nodes
