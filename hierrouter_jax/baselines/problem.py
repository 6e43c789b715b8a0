"""What an opponent is given and what it gives back: the problem, the policy, and a row of the registry."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from hierrouter_jax.envs.types import accumulate_cost
from hierrouter_jax.evaluation.outcome import ending_at
from hierrouter_jax.outcomes.table import OutcomeTable

Policy = Callable[[OutcomeTable], Float[np.ndarray, "Q N"]]


@dataclass(frozen=True)
class Problem:
    """What every opponent is fitted on.

    Attributes:
      train: queries that it learns from.
      validation: queries that its hyperparameters are chosen on.
      transform: the run's feature reduction [.., E] -> [.., F], so that an opponent sees what the router sees.
      weight: of cost, per money unit.
      seed: of whatever an opponent draws.
      fitted: what `once` has made, shared by the same problem at every cost weight.
    """

    train: OutcomeTable
    validation: OutcomeTable
    transform: Callable[[np.ndarray], np.ndarray]
    weight: float = 0.0
    seed: int = 0
    fitted: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def at(self, weight: float) -> "Problem":
        """The same problem at another cost weight; what no cost weight changes is not fitted again."""
        return replace(self, weight=weight)

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """`make()`, made the first time that `key` is asked for. Only for what the cost weight does not change."""
        if key not in self.fitted:
            self.fitted[key] = make()
        return self.fitted[key]


@dataclass(frozen=True)
class Opponent:
    """A row of the registry.

    Attributes:
      kind: as in `evaluation.json`: single, sequence, supervised, cascade, random or oracle.
      may_stop: whether its routes may end before the horizon.
      fit: makes the policy; chosen on training and tuned on validation.
      tried: configurations that it compares on validation, 1 where it has nothing to tune.
      weighted: whether the cost weight changes it.
      shallowest: the smallest horizon at which it is an opponent of its own.
      same_as: what it comes to below that horizon, for the reader.
    """

    kind: str
    may_stop: bool
    fit: Callable[[Problem], Policy]
    tried: int = 1
    weighted: bool = True
    shallowest: int = 1
    same_as: str = ""


def best_available(
    scores: Float[np.ndarray, "#Q N"], table: OutcomeTable, candidates: Bool[np.ndarray, " N"]
) -> Int[np.ndarray, " Q"]:
    """The candidate node of best score on each query among those that its table holds, ties to the lowest index.

    Where the table holds no candidate for a query, the deepest and best of its other nodes.

    Args:
      scores: of ending at each node; one row serves all queries.
      candidates: nodes that the policy may end at; the root never is one.
    """
    scores = np.broadcast_to(scores, table.quality.shape)
    legal = table.available & candidates & (table.tree.stages > 0)
    best = np.where(legal, scores, -np.inf).argmax(axis=1)
    lost = ~legal.any(axis=1)
    if lost.any():
        stages = np.where(table.available[lost], table.tree.stages, -1)
        deepest = stages == stages.max(axis=1, keepdims=True)
        best[lost] = np.where(deepest, scores[lost], -np.inf).argmax(axis=1)
    return best


def ending_best(
    scores: Float[np.ndarray, "#Q N"], table: OutcomeTable, candidates: Bool[np.ndarray, " N"]
) -> Float[np.ndarray, "Q N"]:
    """End probabilities of `best_available`."""
    return ending_at(best_available(scores, table, candidates), table.tree)


def returns(table: OutcomeTable, ends: Float[np.ndarray, "Q N"], weight: float) -> float:
    """Mean return of a policy: quality less `weight` times the cost of its route, in money."""
    value = table.quality - weight * accumulate_cost(table.cost.astype(np.float64), table.tree)
    return float((ends * value).sum(axis=1).mean())
