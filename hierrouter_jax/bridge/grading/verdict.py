"""What a grader says of a response, and what a grader is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hierrouter_jax.outcomes.table import Query


@dataclass(frozen=True)
class Verdict:
    """A grader's judgement of one response.

    Attributes:
      quality: of answering with it, in [0, 1].
      extracted: what was taken from the response as its answer; empty where nothing was found.
      reason: why, as a short class such as `right`, `wrong`, `no answer`, `timeout`, with detail after a colon.
    """

    quality: float
    extracted: str
    reason: str


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
