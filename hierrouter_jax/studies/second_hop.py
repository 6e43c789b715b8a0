"""What a second hop gains, split into another try and reading the draft.

A model that answers after another one differs from it in two ways: it is another try at the query, and it has read the
draft. Its control is the same model without the draft. For a route of two hops with a control, on the same queries,

    right after reading - draft right = (control right - draft right) + (right after reading - control right),

where the first bracket is what another try gains, the second what reading the draft adds.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.evaluation.paired import paired_difference
from hierrouter_jax.outcomes.replicates import mean_by_question
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.measures import called_once, duplicate_groups


def controls_of(settings: dict[str, Any]) -> dict[str, str]:
    """The control of each member that has one, by name, from the prompts in a table's settings."""
    members = settings.get("prompt", {}).get("members", {})
    return {own["fresh"]: name for name, own in members.items() if own.get("fresh")}


def second_hops(
    train: OutcomeTable,
    part: OutcomeTable,
    external: OutcomeTable | None = None,
    controls: dict[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Every route of two hops whose second member has a control, its gain over the first hop alone, and the split.

    Args:
      train: queries on which the best of the routes is chosen.
      part: queries that gains are measured on.
      external: one-hop table of models beside the pool, which may be controls too.
      controls: name of the control of each member; by default what the table's prompts say.
    Returns:
      Rows with the names `first`, `second` and `control`, the number of `queries` (questions, where there are
      replicates), mean accuracy of the `draft`, of `again` (the control) and of `read`, the paired differences `gain`,
      `another_try` and `reading` with intervals, and whether the route is `chosen`: of those with a control the best on
      `train`. Nothing where the table has one hop, or no control.
    Raises:
      InputError: if a member or a control is not there, or a control is the member itself.
    """
    pairs = controls_of(part.settings) if controls is None else controls
    if part.tree.horizon < 2 or not pairs:
        return []
    names = list(part.model_names)
    beside = {name: outcome.quality for name, (_, outcome) in called_once(external, part).items()}
    for reader, control in pairs.items():
        for name, known in ((reader, names), (control, [*names, *beside])):
            if name not in known:
                raise InputError(f"controls: the table has no model {name!r}; {nearest(name, known)}")
        if reader == control:
            raise InputError(f"controls: {reader!r} cannot be its own control")
    rows, promise, group = [], [], duplicate_groups(part)
    for reader, control in pairs.items():
        for first in names:
            if first in pairs.values():
                continue
            draft, read = (
                part.tree.node([names.index(first)]),
                part.tree.node([names.index(first), names.index(reader)]),
            )
            again = part.tree.node([names.index(first), names.index(control)]) if control in names else None
            hops = part.available[:, [draft, read] if again is None else [draft, read, again]]
            held = np.asarray(hops.all(axis=1))
            if not held.any():
                continue
            values = part.quality[:, draft], beside[control] if again is None else part.quality[:, again]
            _, seen, question = np.unique(part.question[held], return_index=True, return_inverse=True)
            by_question = (
                mean_by_question(quality[held].astype(np.float64), question)
                for quality in (*values, part.quality[:, read])
            )
            split = _split(*by_question, cluster=group[held][seen])
            rows.append({"first": first, "second": reader, "control": control, **split})
            trained = train.available[:, read]
            promise.append(train.quality[trained, read].mean() if trained.any() else -np.inf)
    best = int(np.argmax(promise)) if rows else -1
    return [row | {"chosen": place == best} for place, row in enumerate(rows)]


def _split(
    draft: Float[np.ndarray, " G"],
    again: Float[np.ndarray, " G"],
    read: Float[np.ndarray, " G"],
    *,
    cluster: Int[np.ndarray, " G"],
) -> dict[str, Any]:
    differences = {"gain": (read, draft), "another_try": (again, draft), "reading": (read, again)}
    estimates = {name: paired_difference(*pair, cluster=cluster) for name, pair in differences.items()}
    return {
        "queries": len(draft),
        **{name: float(values.mean()) for name, values in (("draft", draft), ("again", again), ("read", read))},
        **{name: {"value": one.value, "ci": list(one.interval)} for name, one in estimates.items()},
    }
