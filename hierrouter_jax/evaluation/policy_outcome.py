"""What a policy achieves on every query of a table, in closed form."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.outcomes.replicates import mean_by_question
from hierrouter_jax.outcomes.table import RIGHT, OutcomeTable


@dataclass(frozen=True)
class PolicyOutcome:
    """Per-query expectations of one policy, each [Q].

    Attributes:
      quality: quality of the final answer, in [0, 1].
      cost: cost of the whole route, in the table's money unit.
      hops: number of model calls.
      repaired: probability that some hop turned a wrong answer right.
      damaged: probability that some hop turned a right answer wrong.
    """

    quality: Float[np.ndarray, " Q"]
    cost: Float[np.ndarray, " Q"]
    hops: Float[np.ndarray, " Q"]
    repaired: Float[np.ndarray, " Q"]
    damaged: Float[np.ndarray, " Q"]

    def returns(self, cost_weight: float, cost_normaliser: float) -> Float[np.ndarray, " Q"]:
        """Quality minus cost weight times normalised cost."""
        return self.quality - cost_weight * self.cost / cost_normaliser

    def by_question(self, question: Int[np.ndarray, " Q"]) -> "PolicyOutcome":
        """Means over the replicates of each question: [G] for [Q], and the same where there are none."""
        return PolicyOutcome(**{name: mean_by_question(values, question) for name, values in vars(self).items()})


def policy_outcome(table: OutcomeTable, end_probability: Float[np.ndarray, "Q N"]) -> PolicyOutcome:
    """Expectations under a policy that ends at node n of query q with probability `end_probability[q, n]`.

    Raises:
      ValueError: if the probabilities do not fit the table, do not sum to 1, or end at a missing node.
    """
    if end_probability.shape != table.quality.shape or not np.allclose(end_probability.sum(axis=1), 1, atol=1e-4):
        raise ValueError("end probabilities must have the table's [Q, N] shape and sum to 1 for every query")
    if (end_probability[~table.available] > 0).any():
        raise ValueError("the policy ends at a node that the table does not hold")
    repaired, damaged = flips(table.quality, table.tree)

    def expectation(value: np.ndarray) -> np.ndarray:
        return (end_probability * value).sum(axis=1, dtype=np.float64)

    return PolicyOutcome(
        quality=expectation(table.quality),
        cost=expectation(accumulate_cost(table.cost, table.tree)),
        hops=expectation(np.broadcast_to(table.tree.stages, table.quality.shape)),
        repaired=expectation(repaired),
        damaged=expectation(damaged),
    )


def flips(quality: Float[np.ndarray, "Q N"], tree: HopTree) -> tuple[Bool[np.ndarray, "Q N"], Bool[np.ndarray, "Q N"]]:
    """Whether the route to each node holds a repairing and a damaging hop; the first hop changes no answer."""
    right = quality >= RIGHT
    repaired, damaged = np.zeros_like(right), np.zeros_like(right)
    for node in range(1, tree.num_nodes):
        parent = tree.parent(node)
        repaired[:, node], damaged[:, node] = repaired[:, parent], damaged[:, parent]
        if parent:
            repaired[:, node] |= right[:, node] & ~right[:, parent]
            damaged[:, node] |= right[:, parent] & ~right[:, node]
    return repaired, damaged


def ending_at(nodes: Int[np.ndarray, " Q"], tree: HopTree) -> Float[np.ndarray, "Q N"]:
    """End probabilities of a deterministic policy."""
    return np.eye(tree.num_nodes)[nodes]
