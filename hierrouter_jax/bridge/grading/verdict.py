"""What a grader is and says of a response, and the verdicts on all responses of a table."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from jaxtyping import Bool

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.failures import FAILED
from hierrouter_jax.outcomes.table import OutcomeTable, Query


@dataclass(frozen=True)
class Verdict:
    """A grader's judgement of one response.

    Attributes:
      quality: quality of answering with it, in [0, 1].
      extracted: the part of the response that was taken as its answer; empty where there is none.
      reason: the reason as a short class, such as `right`, `wrong`, `no answer`, `timeout`, with detail after a colon.
    """

    quality: float
    extracted: str
    reason: str


def check_paired(responses: Sequence[str], queries: Sequence[Query]) -> None:
    """Refuse responses and queries that are not one each.

    Raises:
      InputError: if their numbers differ.
    """
    if len(responses) != len(queries):
        raise InputError(f"grading: {len(responses)} responses for {len(queries)} queries; there must be one each")


class Grader(Protocol):
    """Judges responses, many at once, so that it may use several processes."""

    def __call__(self, responses: Sequence[str], queries: Sequence[Query]) -> list[Verdict]: ...


def exact_match(response: str, query: Query) -> float:
    """1 if the response is the gold answer, white space folded; else 0. Case counts."""
    return float(_fold(response) == _fold(query.gold))


def _fold(text: str) -> str:
    return " ".join(text.split())


Score = Callable[[str, Query], float]


def one_by_one(score: Score) -> Grader:
    """A grader that takes the whole response as the answer and scores one after the other.

    Args:
      score: function that gives the quality in [0, 1] of answering a query with a response.
    Returns:
      A grader whose reason is `right` at quality 1, `wrong` at 0 and `partly right` between.
    """

    def grade(responses: Sequence[str], queries: Sequence[Query]) -> list[Verdict]:
        return [_verdict(response, score(response, query)) for response, query in zip(responses, queries, strict=True)]

    return grade


def _verdict(response: str, quality: float) -> Verdict:
    reason = {0.0: "wrong", 1.0: "right"}.get(float(quality), "partly right")
    return Verdict(float(quality), " ".join(response.split()), reason)


def graded(table: OutcomeTable, grader: Grader, failed: Bool[np.ndarray, "Q N"], why: np.ndarray) -> OutcomeTable:
    """The table with quality, and what was extracted and why as details; a failed call is wrong, whatever the grader.

    Args:
      table: the table with its responses; its quality is replaced.
      grader: the grader, which gets all distinct responses in one call.
      failed: whether the call of a node failed, [Q, N]; such a node has no response to grade.
      why: the reason of each failed call, [Q, N] str (object).

    Raises:
      InputError: if the grader does not give a verdict for each response; or whatever it refuses.
    """
    answered = table.available & ~failed
    answered[:, 0] = False
    rows, nodes = np.nonzero(answered)
    cells = list(zip(rows.tolist(), table.response[rows, nodes].tolist(), strict=True))
    pairs = list(dict.fromkeys(cells))
    verdicts = grader([text for _, text in pairs], [table.queries[row] for row, _ in pairs]) if pairs else []
    if len(verdicts) != len(pairs):
        raise InputError(f"the grader gave {len(verdicts)} verdicts for {len(pairs)} responses")
    by_pair: dict[tuple[int, str], Verdict] = dict(zip(pairs, verdicts, strict=True))
    quality = np.zeros(table.quality.shape, dtype=np.float32)
    extracted, reason = (np.full(table.quality.shape, "", dtype=object) for _ in range(2))
    cell_verdicts = [by_pair[cell] for cell in cells]
    quality[rows, nodes] = [verdict.quality for verdict in cell_verdicts]
    extracted[rows, nodes] = [verdict.extracted for verdict in cell_verdicts]
    reason[rows, nodes] = [verdict.reason for verdict in cell_verdicts]
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
