"""What each hop of a table is told: its query and the responses before it."""

import numpy as np
from jaxtyping import Bool

from hierrouter_jax.outcomes.context import Context
from hierrouter_jax.outcomes.table import OutcomeTable


def hop_contexts(
    table: OutcomeTable, possible: Bool[np.ndarray, "Q P"], stage: int, model: int
) -> tuple[list[tuple[int, int]], list[Context]]:
    """A model's hops after `stage` hops, parent by parent, with what each is told.

    Args:
      table: holds the responses at the parents.
      possible: [Q, P], whether a parent, of the P nodes of the stage, has the hop.
      stage: hops done before.
      model: place in the pool.
    Returns:
      The (query, node) cells of the hops, and their contexts.
    """
    cells, contexts = [], []
    first = table.tree.stage_start(stage)
    for at in range(possible.shape[1]):
        parent = first + at
        path, node = list(table.tree.path(parent)), table.tree.child(parent, model)
        said_by = tuple(table.model_names[called] for called in table.tree.route(parent))
        for row in np.flatnonzero(possible[:, at]).tolist():
            query, said = table.queries[row], tuple(table.response[row, path].tolist())
            cells.append((row, node))
            contexts.append(Context(query.text, said, said_by, query.shots))
    return cells, contexts
