"""The plainest grader: the response is the gold answer."""

from hierrouter_jax.outcomes.table import Query


def exact_match(response: str, query: Query) -> float:
    """1 if the response is the gold answer, white space folded; else 0. Case counts."""
    return float(_fold(response) == _fold(query.gold))


def _fold(text: str) -> str:
    return " ".join(text.split())
