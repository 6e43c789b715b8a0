"""Which queries of a table count: those that policies are evaluated on, those that opponents learn from,
and the contexts and ends that were reached.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int

from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.table import Context, OutcomeTable, Query


def evaluated_queries(table: OutcomeTable, split: str) -> OutcomeTable:
    """The queries of one split of which the table holds any hop: those that policies are judged on.

    Raises:
      InputError: if the split has none.
    """
    part = table.split(split)
    if not part.answered.any():
        raise InputError(f"the outcome table holds no hop of any {split} query")
    return part if part.answered.all() else part.select(part.answered)


def opponents_train(table: OutcomeTable) -> OutcomeTable:
    """What opponents of a whole outcome table learn and choose from: its training split.

    Where that was collected in part by promise, what `whole_training_trees` gives. Where hops are missing for other
    reasons (failed calls, published outcomes with gaps), opponents mask them.
    """
    return whole_training_trees(table) if "partial" in table.settings else table.split("train")


def without_partial_trees(table: OutcomeTable) -> OutcomeTable:
    """The table without the training queries whose trees were collected in part by promise."""
    if "partial" not in table.settings:
        return table
    held = table.available.all(axis=1) | np.array([query.split != "train" for query in table.queries])
    settings = {name: value for name, value in table.settings.items() if name != "partial"}
    return replace(table.select(held), settings=settings)


def whole_training_trees(table: OutcomeTable) -> OutcomeTable:
    """The queries that opponents choose routes on: the training split, where all of its trees are whole.

    Where some are not, its whole trees and the validation split: what a partial tree holds was chosen for its
    promise, so that a mean over its routes would flatter them, and a route that some queries lack has no mean.
    """
    train = table.split("train")
    if train.available.all():
        return train
    whole = table.available.all(axis=1) & np.array([query.split == "train" for query in table.queries])
    return table.select(whole | np.array([query.split == "validation" for query in table.queries]))


def held_ends(table: OutcomeTable, nodes: Int[np.ndarray, "#Q *R"]) -> Int[np.ndarray, "Q *R"]:
    """The node that each route ends at on each query: before the first hop that the table lacks, or at the root.

    Args:
      nodes: last node of one route a query, or of several.
    """
    ends = np.broadcast_to(nodes, (table.num_queries, *nodes.shape[1:]))
    rows = np.arange(table.num_queries).reshape(-1, *(1,) * (ends.ndim - 1))
    while (missing := ~table.available[rows, ends]).any():
        ends = np.where(missing, table.tree.parent(ends), ends)
    return ends


def decision_contexts(
    tree: HopTree, queries: Sequence[Query], response: np.ndarray, available: Bool[np.ndarray, "Q N"]
) -> tuple[Int[np.ndarray, " B"], Int[np.ndarray, " B"], list[Context]]:
    """What a router reads at each decision node that was reached: the query and the responses so far.

    Args:
      tree: tree of the routes.
      queries: the Q queries.
      response: texts of the hops, [Q, N] str.
      available: whether a hop was run, [Q, N] bool.

    Returns:
      Row and node of each of the B contexts, and the contexts.
    """
    rows, nodes = np.nonzero(available[:, : tree.num_decision_nodes])
    paths = [list(tree.path(node)) for node in range(tree.num_decision_nodes)]
    contexts = [
        Context(queries[row].text, tuple(response[row, paths[node]].tolist()), task=queries[row].task)
        for row, node in zip(rows.tolist(), nodes.tolist(), strict=True)
    ]
    return rows, nodes, contexts
