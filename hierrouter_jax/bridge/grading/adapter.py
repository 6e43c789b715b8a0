"""A grader made of a function that scores one response."""

from collections.abc import Callable, Sequence

from hierrouter_jax.bridge.grading.verdict import Grader, Verdict
from hierrouter_jax.outcomes.table import Query

Score = Callable[[str, Query], float]


def one_by_one(score: Score) -> Grader:
    """A grader that takes the whole response as the answer and scores one after the other.

    Args:
      score: quality in [0, 1] of answering a query with a response.
    Returns:
      A grader whose reason is `right` at quality 1, `wrong` at 0 and `partly right` between.
    """

    def grade(responses: Sequence[str], queries: Sequence[Query]) -> list[Verdict]:
        return [_verdict(response, score(response, query)) for response, query in zip(responses, queries, strict=True)]

    return grade


def _verdict(response: str, quality: float) -> Verdict:
    reason = {0.0: "wrong", 1.0: "right"}.get(float(quality), "partly right")
    return Verdict(float(quality), " ".join(response.split()), reason)
