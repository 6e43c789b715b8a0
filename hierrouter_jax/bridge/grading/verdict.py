"""What a grader says of a response, and what a grader is."""

from collections.abc import Sequence
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
