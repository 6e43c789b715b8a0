"""The hop tree of one query as a router sees it: what every branch would answer and cost, and how likely it is."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.evaluation.policy_outcome import flips
from hierrouter_jax.evaluation.tree_policy import run_policy
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.table import RIGHT, OutcomeTable
from hierrouter_jax.outcomes.ties import first_best
from hierrouter_jax.training.checks import check_charges
from hierrouter_jax.training.router import TrainedRouter

ROWS, CHILDREN = 48, 6  # a picture has at most about so many leaves, and a node so many children
STOP = "STOP"
_SURE = 0.005  # a STOP less likely than this is left out of the picture, though not of the numbers


@dataclass(frozen=True)
class Branch:
    """One branch of the tree: a call, STOP, or those that are not shown.

    Attributes:
      node: index of the node that the branch leads to; for STOP and for `more` that of the node that it leaves.
      parent: index of the node that the branch starts from, None at the root.
      stage: number of hops that are done at its end.
      model: name of the called model, STOP, or None where the branch stands for `more` others.
      response: the text that the model answered.
      probability: pi(branch | parent), the policy's probability of taking the branch at its parent.
      reach: probability that the policy's route goes through the branch.
      cost: price of this hop, in the table's money unit.
      right: whether the response would be a right answer.
      taken: whether the greedy route goes through the branch.
      opened: whether the branches after this one are shown.
      folded: whether the branch has branches after it that are not shown.
      more: number of branches that it stands for, 0 for a branch of its own.
    """

    node: int
    parent: int | None
    stage: int
    model: str | None = None
    response: str = ""
    probability: float = 1.0
    reach: float = 1.0
    cost: float = 0.0
    right: bool = False
    taken: bool = False
    opened: bool = False
    folded: bool = False
    more: int = 0


@dataclass(frozen=True)
class QueryTree:
    """A query, what a router does with it, and the branches that are shown, in order of drawing."""

    router: str
    query: dict[str, Any]
    branches: tuple[Branch, ...]
    answer: str
    right: bool
    cost: float


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
    """The chosen seed's policy, with its run's cost weight and no budget where it is conditioned on either."""
    check_charges(table, router.static)
    device = router.features.on_device(table)
    conditions = router.conditions(table.num_queries)

    @jax.jit
    def log_probs(params: Any, device: DeviceTable) -> Any:
        return run_policy(router.static, params, device, conditions, router.hyper.ranges).log_probs()

    logs = np.asarray(log_probs(router.params(router.chosen_seed), device))
    return Choices(np.exp(logs), greedy_ends(logs, table.tree, device.tie_order))


def greedy_ends(
    preference: Float[np.ndarray, "Q D A"], tree: HopTree, tie_order: tuple[int, ...]
) -> Int[np.ndarray, " Q"]:
    """Where taking the most preferred action everywhere ends, of equal ones the first in `tie_order`."""
    best = first_best(preference, tie_order)
    queries, nodes = np.arange(len(best)), np.zeros(len(best), dtype=int)
    for stage in range(tree.horizon):
        here = tree.stages[nodes] == stage  # the others have stopped
        taken = best[queries, np.minimum(nodes, tree.num_decision_nodes - 1)]
        nodes = np.where(here & (taken < tree.num_models), tree.child(nodes, taken), nodes)
    return nodes


def telling_query(table: OutcomeTable, ends: Int[np.ndarray, " Q"]) -> int:
    """Row of a query that shows what routing does: repaired on the way and right, by the most different models."""
    rows = np.arange(len(ends))
    repaired, damaged = flips(table.quality, table.tree)
    right = table.quality[rows, ends] >= RIGHT
    models = np.array([len(set(table.tree.route(int(end)))) for end in ends])
    hops = table.tree.stages[ends]
    mended = repaired[rows, ends] & ~damaged[rows, ends]
    return int(np.lexsort((-rows, -hops, models, right, mended & right))[-1])


def query_tree(
    name: str, table: OutcomeTable, row: int, probabilities: Float[np.ndarray, "D A"], end: int
) -> QueryTree:
    """The tree of the table's query `row`.

    The most likely parts are shown: nodes are opened in the order of how likely the policy is to come there, until
    the picture is full, each with its most likely children.
    """
    route = (0, *table.tree.path(end))
    opened, shown = _shown(table, row, probabilities, end)
    branches: list[Branch] = []

    def add(node: int, probability: float, reach: float) -> None:
        parent = table.tree.parent(node) if node else None
        stage = int(table.tree.stages[node])
        model = table.model_names[table.tree.last_model(node)] if node else None
        below = node < table.tree.num_decision_nodes and bool(table.available[row, _children(table, node)].any())
        branches.append(
            Branch(
                node=node,
                parent=parent,
                stage=stage,
                model=model,
                response=str(table.response[row, node]) if node else "",
                probability=probability,
                reach=reach,
                cost=float(table.cost[row, node]) if node else 0.0,
                right=bool(node and table.quality[row, node] >= RIGHT),
                taken=node in route,
                opened=node in opened,
                folded=node not in opened and below,
            )
        )
        if node not in opened:
            return
        for child, its in shown[node]:
            add(child, its, reach * its)
        stop = float(probabilities[node, -1])
        stops = node == end
        if stop >= _SURE or stops:
            branches.append(Branch(node, node, stage + 1, STOP, probability=stop, reach=reach * stop, taken=stops))
        left = int(table.available[row, _children(table, node)].sum()) - len(shown[node])
        if left:
            rest = 1.0 - stop - sum(its for _, its in shown[node])
            branches.append(
                Branch(node, node, stage + 1, None, probability=max(0.0, rest), reach=reach * max(0.0, rest), more=left)
            )

    add(0, 1.0, 1.0)
    query, nodes = table.queries[row], list(route[1:])
    fields = {"id": query.id, "text": query.text, "task": query.task, "gold": query.gold, "split": query.split}
    right = bool(table.quality[row, end] >= RIGHT)
    return QueryTree(
        name, fields, tuple(branches), str(table.response[row, end]), right, float(table.cost[row, nodes].sum())
    )


def _children(table: OutcomeTable, node: int) -> np.ndarray:
    return table.tree.child(node, np.arange(table.tree.num_models))


def _shown(
    table: OutcomeTable, row: int, probabilities: Float[np.ndarray, "D A"], end: int
) -> tuple[set[int], dict[int, list[tuple[int, float]]]]:
    """Nodes that are opened, and of each its most likely children with their probabilities, in model order."""
    tree, opened, shown, rows = table.tree, set(), {}, 1
    route = {0, *tree.path(end)}
    waiting = [(False, -1.0, 0)]  # those on the route come before all others, then those that are likelier reached
    while waiting:
        _, reach, node = heapq.heappop(waiting)
        if node >= tree.num_decision_nodes:
            continue
        there = [int(child) for child in _children(table, node) if table.available[row, child]]
        likely = sorted(there, key=lambda child: -probabilities[node, tree.last_model(child)])[:CHILDREN]
        stops = probabilities[node, -1] >= _SURE or node == end
        added = len(likely) - 1 + stops + (len(there) > len(likely))
        if not likely or (rows + added > ROWS and node not in route):
            continue
        rows += added
        opened.add(node)
        shown[node] = [(child, float(probabilities[node, tree.last_model(child)])) for child in sorted(likely)]
        for child, its in shown[node]:
            heapq.heappush(waiting, (child not in route, reach * its, child))
    return opened, shown


def leaves(branches: Sequence[Branch]) -> list[int]:
    """Positions of the branches that have none of their own."""
    return [index for index, branch in enumerate(branches) if not branch.opened]
