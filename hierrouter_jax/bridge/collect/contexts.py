"""What each hop of a table is told: its query and the responses before it."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from tqdm import tqdm

from hierrouter_jax.bridge.encoders import Encoder, count_truncated
from hierrouter_jax.outcomes.table import Context, OutcomeTable


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


_CONTEXTS_AT_ONCE = 4096


def embedded(
    table: OutcomeTable, encoder: Encoder, progress: bool
) -> tuple[Float[np.ndarray, "Q D E"], dict[str, Any]]:
    """Embeddings of the contexts at decision nodes that the table holds, and of how many all could not be read.

    Returns:
      Embeddings, zero at nodes that the table does not hold, and what `count_truncated` says of the distinct contexts.
    """
    rows, nodes = np.nonzero(table.available[:, : table.tree.num_decision_nodes])
    paths = [list(table.tree.path(node)) for node in range(table.tree.num_decision_nodes)]
    contexts = [
        Context(table.queries[row].text, tuple(table.response[row, paths[node]].tolist()), task=table.queries[row].task)
        for row, node in zip(rows.tolist(), nodes.tolist(), strict=True)
    ]
    index = {context: at for at, context in enumerate(dict.fromkeys(contexts))}
    distinct = list(index)
    found = np.zeros((len(distinct), encoder.size), dtype=np.float32)
    with tqdm(total=len(distinct), desc="embed", unit="context", disable=not progress) as bar:
        for start in range(0, len(distinct), _CONTEXTS_AT_ONCE):
            chunk = distinct[start : start + _CONTEXTS_AT_ONCE]
            found[start : start + len(chunk)] = encoder.encode(chunk)
            bar.update(len(chunk))
    embedding = np.zeros((table.num_queries, table.tree.num_decision_nodes, encoder.size), dtype=np.float32)
    embedding[rows, nodes] = found[[index[context] for context in contexts]]
    return embedding, count_truncated(encoder, distinct)
