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


def frontier(table: OutcomeTable, routers: Iterable[TrainedRouter], probability: float) -> Bool[np.ndarray, "Q N"]:
    """All children of collected nodes that some policy visits with more than a probability, but for the last stage.

    A visited node is expanded by every model, so that what is learned there is a choice between all of them. A child
    that is not visited itself ends its route as the tree is then: a policy that may stop is told what stopping there
    is worth, and never more than the child is worth.
    """
    visited = (visits(table, routers) > probability) & table.available
    wanted = np.zeros_like(visited)
    wanted[:, 1:] = np.repeat(visited[:, : table.tree.num_decision_nodes], table.tree.num_models, axis=1)
    return wanted


def visits(table: OutcomeTable, routers: Iterable[TrainedRouter]) -> Float[np.ndarray, "Q N"]:
    """The largest probability with which any seed of any router visits each node, were all hops there to be made.

    Meaningless below nodes that were not collected, whose contexts nobody knows.
    """
    tree, found = table.tree, np.zeros(table.quality.shape)
    for router in routers:
        device = router.features.on_device(table)
        network, conditions = learner.build_network(device, router.static), router.conditions(table.num_queries)
        legal = jnp.asarray(possible(tree, router.may_stop))
        for seed in range(len(router.state.best_return)):
            logits = decision_logits(network, router.params(seed), device, conditions, router.hyper.ranges)
            found = np.maximum(found, _reach(logits, legal, tree))
    return found


def possible(tree: HopTree, may_stop: bool) -> Bool[np.ndarray, "D A"]:
    """Legal actions where every hop can be made."""
    legal = np.ones((tree.num_decision_nodes, tree.num_models + 1), dtype=bool)
    legal[:, -1] = may_stop
    legal[0, -1] = False
    return legal


def _reach(logits: Float[Array, "Q D A"], legal: Bool[Array, "D A"], tree: HopTree) -> np.ndarray:
    return np.asarray(reach_probability(jax.nn.softmax(jnp.where(legal, logits, -jnp.inf)), tree))
