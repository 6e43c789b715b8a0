"""Grades multiple-choice answers (ARC, MMLU): the last option that a response commits to."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from hierrouter_jax.bridge.grading.options import Options
from hierrouter_jax.bridge.grading.verdict import Verdict, check_paired
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query


@dataclass(frozen=True)
class ChoiceGrader:
    """Grades a response by the option it commits to; `gold` is JSON, `{"answer": "B", "choices": {"A": "...", ...}}`.

    Options may be named by label, in any markup, or quoted. Reasons: `right`, `wrong: option`, `several` (A or B),
    `refusal`, `no answer`. Where a label and the words behind it disagree, the label counts.
    """

    identity = "choices 7"  # for caches

    def __call__(self, responses: Sequence[str], queries: Sequence[Query]) -> list[Verdict]:
        """Verdicts in the order of the responses.

        Raises:
          InputError: if there is not one response a query, or a gold answer is not of that form.
        """
        check_paired(responses, queries)
        return [_grade(response, query) for response, query in zip(responses, queries, strict=True)]


def _grade(response: str, query: Query) -> Verdict:
    answer, options = _gold(query.id, query.gold)
    commitment = options.commitment(response)
    if not commitment.label:
        return Verdict(0.0, commitment.written, commitment.reason)
    right = commitment.label == answer
    return Verdict(float(right), commitment.label, "right" if right else "wrong: option")


@lru_cache(maxsize=1024)
def _gold(query: str, text: str) -> tuple[str, Options]:
    try:
        gold = json.loads(text)
        answer, texts = str(gold["answer"]), {str(label): str(option) for label, option in gold["choices"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"query {query}: gold is {text[:60]!r}; "
            'right would be {"answer": "B", "choices": {"A": "...", "B": "..."}}'
        ) from None
    if answer not in texts:
        raise InputError(f"query {query}: gold answer is {answer!r}, but the choices are {', '.join(texts)}")
    return answer, Options(texts)
