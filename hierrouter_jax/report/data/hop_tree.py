"""The hop tree of one query as a router sees it: what every branch would answer and cost, and how likely it is."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.evaluation.policy_outcome import flips
from hierrouter_jax.outcomes.table import RIGHT, OutcomeTable

ROWS, CHILDREN = 48, 6  # a picture has at most about so many leaves, and a node so many children
STOP = "STOP"
_SURE = 0.005  # a STOP less likely than this is left out of the picture, though not of the numbers


@dataclass(frozen=True)
class Branch:
    """One branch of the tree: a call, STOP, or those that are not shown.

    Attributes:
      node: entered; for STOP and for `more` the node that is left.
      parent: node before it, None at the root.
      model: called, STOP, or None where the branch stands for `more` others.
      probability: with which the policy takes it at its parent.
      reach: with which the policy comes here at all.
      cost: of this hop, in the table's money unit.
      right: whether its response would be a right answer.
      taken: whether the greedy route goes through it.
      opened: whether its own branches are shown.
      folded: whether it has some that are not.
      more: how many branches it stands for.
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
    told = {"id": query.id, "text": query.text, "task": query.task, "gold": query.gold, "split": query.split}
    right = bool(table.quality[row, end] >= RIGHT)
    return QueryTree(
        name, told, tuple(branches), str(table.response[row, end]), right, float(table.cost[row, nodes].sum())
    )


def _children(table: OutcomeTable, node: int) -> np.ndarray:
    return table.tree.child(node, np.arange(table.tree.num_models))


def _shown(
    table: OutcomeTable, row: int, probabilities: Float[np.ndarray, "D A"], end: int
) -> tuple[set[int], dict[int, list[tuple[int, float]]]]:
    """Nodes that are opened, and of each its most likely children with their probabilities, in model order."""
    tree, opened, shown, rows = table.tree, set(), {}, 1
    route = {0, *tree.path(end)}
    waiting = [(-2.0, 0)]  # those on the route come before all others
    while waiting:
        urgency, node = heapq.heappop(waiting)
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
            heapq.heappush(waiting, (-2.0 if child in route else max(urgency, -1.0) * its, child))
    return opened, shown


def leaves(branches: Sequence[Branch]) -> list[int]:
    """Positions of the branches that have none of their own."""
    return [index for index, branch in enumerate(branches) if not branch.opened]
