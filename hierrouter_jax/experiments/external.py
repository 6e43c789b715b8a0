"""Models outside the pool, each called once for every query, to compare a pool of small ones with."""

import numpy as np
from jaxtyping import Float

from hierrouter_jax.baselines.open_loop import repeated_call
from hierrouter_jax.errors import InputError
from hierrouter_jax.evaluation.outcome import PolicyOutcome, ending_at, policy_outcome
from hierrouter_jax.outcomes.table import OutcomeTable


def called_once(
    external: OutcomeTable | None, part: OutcomeTable
) -> dict[str, tuple[Float[np.ndarray, "Q N"], PolicyOutcome]]:
    """Of each external model by name: where it ends in its own one-hop tree, and what it achieves on the queries.

    Args:
      external: one-hop table of the models; without one there are none.
      part: the pool's table of the queries that are asked about.

    Raises:
      InputError: if one of the queries, or its text, is not in `external`, or it is priced in another money unit.
    """
    if external is None:
        return {}
    if external.money_unit != part.money_unit:
        raise InputError(
            f"the external models' money unit is {external.money_unit!r}, but the pool's is {part.money_unit!r}"
        )
    row_of = {(query.id, query.text): row for row, query in enumerate(external.queries)}
    lacking = next((query.id for query in part.queries if (query.id, query.text) not in row_of), None)
    if lacking is not None:
        raise InputError(f"the external models have no answer to query {lacking!r}; collect both with the same queries")
    beside = external.select(np.array([row_of[query.id, query.text] for query in part.queries]))
    found = {}
    for model, name in enumerate(beside.model_names):
        ends = ending_at(repeated_call(beside, model, 1), beside.tree)
        found[name] = ends, policy_outcome(beside, ends)
    return found
