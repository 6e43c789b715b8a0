"""The frontier: hops that the current policies would make from what has been collected."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hierrouter_jax.agents import learner
from hierrouter_jax.evaluation.exact import reach_probability
from hierrouter_jax.experiments.routers import TrainedRouter
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.policies.table_policy import decision_logits


def visits(table: OutcomeTable, routers: Iterable[TrainedRouter]) -> Float[np.ndarray, "Q N"]:
    """The largest probability with which any seed of any router visits each node whose context is known.

    A node's context is known where the node before it was collected; what is missing is no masked action here, as
    it is asked whether it should be collected.
    """
    tree = table.tree
    known = np.concatenate(
        [np.ones((table.num_queries, 1), bool), table.available[:, tree.parent(np.arange(1, tree.num_nodes))]], axis=1
    )
    found = np.zeros(table.quality.shape)
    for router in routers:
        device = router.features.on_device(table)
        network, conditions = learner.build_network(device, router.static), router.conditions(table.num_queries)
        legal = jnp.asarray(possible(tree, router.may_stop))
        for seed in range(len(router.state.best_return)):
            logits = decision_logits(network, router.params(seed), device, conditions, router.hyper.ranges)
            found = np.maximum(found, _reach(logits, legal, tree))
    return np.where(known, found, 0.0)


def possible(tree: HopTree, may_stop: bool) -> Bool[np.ndarray, "D A"]:
    """Legal actions where every hop can be made."""
    legal = np.ones((tree.num_decision_nodes, tree.num_models + 1), dtype=bool)
    legal[:, -1] = may_stop
    legal[0, -1] = False
    return legal


def _reach(logits: Float[Array, "Q D A"], legal: Bool[Array, "D A"], tree: HopTree) -> np.ndarray:
    return np.asarray(reach_probability(jax.nn.softmax(jnp.where(legal, logits, -jnp.inf)), tree))
