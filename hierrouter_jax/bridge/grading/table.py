"""Grading of a table: each distinct response to a query is judged once."""

from collections import Counter
from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from hierrouter_jax.bridge.grading import Grader, Verdict
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import OutcomeTable

FAILED = "failed"  # as finish reason, and as class of the verdict's reason


def graded(table: OutcomeTable, grader: Grader, failed: Bool[np.ndarray, "Q N"], why: np.ndarray) -> OutcomeTable:
    """The table with quality, and what was extracted and why as details; a failed call is wrong, whatever the grader.

    Args:
      grader: gets all distinct responses in one call.
      failed: nodes whose call failed; they have no response to judge.
      why: [Q, N] str (object), the reason at failed nodes.

    Raises:
      InputError: if the grader does not give a verdict for each response; or whatever it refuses.
    """
    judged = table.available & ~failed
    judged[:, 0] = False
    rows, nodes = np.nonzero(judged)
    cells = list(zip(rows.tolist(), table.response[rows, nodes].tolist(), strict=True))
    pairs = list(dict.fromkeys(cells))
    verdicts = grader([text for _, text in pairs], [table.queries[row] for row, _ in pairs]) if pairs else []
    if len(verdicts) != len(pairs):
        raise InputError(f"the grader gave {len(verdicts)} verdicts for {len(pairs)} responses")
    by_pair: dict[tuple[int, str], Verdict] = dict(zip(pairs, verdicts, strict=True))
    quality = np.zeros(table.quality.shape, dtype=np.float32)
    extracted, reason = (np.full(table.quality.shape, "", dtype=object) for _ in range(2))
    found = [by_pair[cell] for cell in cells]
    quality[rows, nodes] = [verdict.quality for verdict in found]
    extracted[rows, nodes] = [verdict.extracted for verdict in found]
    reason[rows, nodes] = [verdict.reason for verdict in found]
    lost = failed & table.available
    reason[lost] = [f"{FAILED}: {text}" for text in why[lost]]
    return replace(table, quality=quality, details={**table.details, "extracted": extracted, "reason": reason})


def count_verdicts(table: OutcomeTable) -> dict[str, dict[str, int]]:
    """Nodes by the class of their reason (what stands before a colon), for each task."""
    counts: dict[str, Counter[str]] = {}
    for row, query in enumerate(table.queries):
        reasons = table.details["reason"][row, 1:][table.available[row, 1:]].tolist()
        counts.setdefault(query.task, Counter()).update(text.partition(":")[0] for text in reasons)
    return {task: dict(sorted(count.items())) for task, count in counts.items()}
