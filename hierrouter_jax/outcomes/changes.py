"""What a later hop makes of the answer before it: the wrong ones that it repairs, the right ones that it damages."""

from typing import Any

import numpy as np

from hierrouter_jax.outcomes.failures import rows_by_task
from hierrouter_jax.outcomes.table import RIGHT, OutcomeTable

COUNTS = ("wrong", "repaired", "right", "damaged")


def changes(table: OutcomeTable) -> list[dict[str, Any]]:
    """Of every hop but the first, by task, and where there are several for all of them, how answers changed.

    An answer is one of a query at a node of its hop tree; counted are those whose hop before is in the table, too.

    Returns:
      A row a task, hop and pair of models: `task`, `hop` (2 is the second), `before` and `after` (names of the model
      that had answered, and of the one that answers now), `wrong` answers before and `repaired` ones of them, `right`
      answers before and `damaged` ones of them. Empty where the table has one hop.
    """
    tree, right = table.tree, table.quality >= RIGHT
    nodes = np.flatnonzero(tree.stages > 1)
    parents = tree.parent(nodes)
    held = table.available[:, nodes] & table.available[:, parents]
    was, now = right[:, parents], right[:, nodes]
    by_node = np.stack([held & ~was, held & ~was & now, held & was, held & was & ~now], axis=-1)  # [Q, K, 4]
    before, after = tree.last_model(parents), tree.last_model(nodes)
    rows = []
    for task, its in rows_by_task(table).items():
        counted = by_node[its].sum(axis=0)
        for hop in range(2, tree.horizon + 1):
            for one in range(tree.num_models):
                for other in range(tree.num_models):
                    here = (tree.stages[nodes] == hop) & (before == one) & (after == other)
                    counts = dict(zip(COUNTS, counted[here].sum(axis=0).tolist(), strict=True))
                    names = {"before": table.model_names[one], "after": table.model_names[other]}
                    rows.append({"task": task, "hop": hop, **names, **counts})
    return rows
