"""Embedding of a collected table's contexts: each distinct one once."""

from typing import Any

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from hierrouter_jax.bridge.encoders import Encoder, count_truncated
from hierrouter_jax.outcomes.context import Context
from hierrouter_jax.outcomes.table import OutcomeTable

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
