"""What an opponent gets and what it gives back: the problem, the policy, and a row of the registry."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from hierrouter_jax.evaluation.policy_outcome import ending_at
from hierrouter_jax.outcomes.pricing import accumulate_cost
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.outcomes.ties import first_best, route_order, tie_order

Policy = Callable[[OutcomeTable], Float[np.ndarray, "Q N"]]


@dataclass(frozen=True)
class Problem:
    """What every opponent is fitted on.

    Attributes:
      train: queries that it learns from.
      validation: queries that its hyperparameters are chosen on.
      transform: the run's feature reduction [.., E] -> [.., F], so that an opponent sees what the router sees.
      weight: cost weight of the return, per money unit.
      seed: seed of whatever an opponent draws.
      fitted: results of `once`, shared by the same problem at every cost weight.
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

    @property
    def tie_order(self) -> tuple[int, ...]:
        """Actions in the order in which they win ties, M for STOP, by the training queries."""
        return self.once("tie order", lambda: tie_order(self.train))

    @property
    def route_order(self) -> Int[np.ndarray, " N"]:
        """Nodes in the order in which they win ties, by the training queries."""
        return self.once("route order", lambda: route_order(self.train))

    def features(self, table: OutcomeTable, node: int = 0, rows: Any = slice(None)) -> Float[np.ndarray, "R F"]:
        """What a router knows at a decision node: its context, and after a hop the query and the money spent too.

        Contexts are scaled by one number, so that queries of the training split have unit spread; money by the mean
        cost of a call.

        Args:
          rows: rows of the table, by default all.
        """
        scale = self.once("scale", lambda: _spread(self.transform(self.train.context_embedding[:, 0])))
        query = self.transform(table.context_embedding[rows, 0]) / scale
        if node == 0:
            return query
        calls = self.once("call", lambda: self.train.cost[:, 1:][self.train.available[:, 1:]].mean() or 1.0)
        spent = table.cost[rows][:, list(table.tree.path(node))].sum(axis=1, keepdims=True) / calls
        return np.concatenate([self.transform(table.context_embedding[rows, node]) / scale, query, spent], axis=1)


@dataclass(frozen=True)
class Opponent:
    """A row of the registry.

    Attributes:
      kind: its kind in `evaluation.json`: single, sequence, supervised, cascade, random or oracle.
      may_stop: whether its routes may end before the horizon.
      fit: function that makes the policy, fitted on training and tuned on validation.
      tried: number of configurations that it compares on validation, 1 where it has nothing to tune.
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
    scores: Float[np.ndarray, "#Q N"],
    table: OutcomeTable,
    candidates: Bool[np.ndarray, " N"],
    order: Int[np.ndarray, " N"],
) -> Int[np.ndarray, " Q"]:
    """The candidate node of best score on each query among those that its table holds.

    Where the table holds no candidate for a query, the deepest and best of its other nodes.

    Args:
      scores: preference for ending at each node; one row serves all queries.
      candidates: whether the policy may end at each node; at the root it never may.
      order: nodes in the order in which they win ties.
    """
    scores = np.broadcast_to(scores, table.quality.shape)
    legal = table.available & candidates & (table.tree.stages > 0)
    best = first_best(np.where(legal, scores, -np.inf), order)
    lost = ~legal.any(axis=1)
    if lost.any():
        stages = np.where(table.available[lost], table.tree.stages, -1)
        deepest = stages == stages.max(axis=1, keepdims=True)
        best[lost] = first_best(np.where(deepest, np.maximum(scores[lost], -1e30), -np.inf), order)
    return best


def ending_best(
    scores: Float[np.ndarray, "#Q N"],
    table: OutcomeTable,
    candidates: Bool[np.ndarray, " N"],
    order: Int[np.ndarray, " N"],
) -> Float[np.ndarray, "Q N"]:
    """End probabilities of `best_available`."""
    return ending_at(best_available(scores, table, candidates, order), table.tree)


def returns(table: OutcomeTable, ends: Float[np.ndarray, "Q N"], weight: float) -> float:
    """Mean return of a policy: quality less `weight` times the cost of its route, in money."""
    value = table.quality - weight * accumulate_cost(table.cost.astype(np.float64), table.tree)
    return float((ends * value).sum(axis=1).mean())


def chosen_on_validation(problem: Problem, policies: Sequence[Policy]) -> Policy:
    """The policy with the best mean return on the validation queries, the first of equals."""
    held = problem.validation
    return max(policies, key=lambda policy: returns(held, policy(held), problem.weight))


def walk(
    table: OutcomeTable,
    scores: Callable[[int, Int[np.ndarray, " R"]], Float[np.ndarray, "R A"]],
    allow_stop: bool,
    tie_order: Sequence[int],
) -> Float[np.ndarray, "Q N"]:
    """End probabilities of going to the best legal action at every hop.

    Args:
      scores: function of a decision node and of the R queries (rows of the table) that reach it, which gives the
        preference for the M models and STOP; NaN is preferred to nothing.
      allow_stop: whether STOP is legal while a model is; once none is, nothing else is.
      tie_order: actions in the order in which they win ties, M for STOP.
    """
    tree, at = table.tree, np.zeros(table.num_queries, dtype=int)
    done = np.zeros(table.num_queries, dtype=bool)
    for node in range(tree.num_decision_nodes):
        rows = np.flatnonzero((at == node) & ~done)
        if not len(rows):
            continue
        models = table.available[rows][:, tree.child(node, np.arange(tree.num_models))]
        stop = ~models.any(axis=1, keepdims=True) | (allow_stop and node > 0)
        legal = np.concatenate([models, stop], axis=1)
        preference = np.maximum(np.nan_to_num(scores(node, rows), nan=-np.inf), -1e30)
        action = first_best(np.where(legal, preference, -np.inf), tie_order)
        stopped = np.equal(action, tree.num_models)
        done[rows] = stopped
        at[rows] = np.where(stopped, node, tree.child(node, action))
    return ending_at(at, tree)


def _spread(x: Float[np.ndarray, "Q F"]) -> float:
    return float(np.sqrt(x.astype(np.float64).var(axis=0).mean())) or 1.0
