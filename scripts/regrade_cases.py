"""What `scripts.regrade` regrades: a response with the verdict that was published with it."""

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hierrouter_jax.bridge.grading.verdict import Verdict
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.table import OutcomeTable, Query

MODELS = (
    "Llama-3.1-8B-Instruct",
    "Phi-3-medium-4k-instruct",
    "Qwen2.5-Coder-7B-Instruct",
    "Yi-1.5-34B-Chat",
    "gemma-2-9b-it",
    "internlm2_5-20b-chat",
)


@dataclass(frozen=True)
class Case:
    """A response and its published verdict.

    Attributes:
      upstream: whether it was published as right.
      note: the published reason, or the answer that was taken from the response.
    """

    model: str
    response: str
    query: Query
    upstream: bool
    note: str


@dataclass(frozen=True)
class Judgement:
    """Of a disagreement: a short class of reason, and `ours`, `published` or `undecided`."""

    reason: str
    right: str


Rules = Callable[[Case, Verdict], Judgement]


def read_rows(path: Path) -> list[Any]:
    """The rows of a gzipped file whose keys are "0", "1", ...; other keys are left out."""
    with gzip.open(path, "rt", encoding="utf-8") as handle:
        found = json.load(handle)
    rows = found.get("details", found)
    return [rows[key] for key in sorted((key for key in rows if key.isdigit()), key=int)]


def published_table(task: str, cases: Mapping[str, list[Case]]) -> OutcomeTable:
    """The one-hop table of published verdicts: quality 1 where right, the published reason as reason; no tokens.

    Args:
      task: name for all queries.
      cases: by model, one a query, all models' in the same order.
    """
    by_model = list(cases.values())
    queries = tuple(replace(case.query, task=task) for case in by_model[0])
    shape = (len(queries), len(cases) + 1)
    quality, none = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.int32)
    response, reason, extracted = (np.full(shape, "", dtype=object) for _ in range(3))
    for node, column in enumerate(by_model, start=1):
        assert [case.query.id for case in column] == [query.id for query in queries]
        quality[:, node] = [case.upstream for case in column]
        response[:, node] = [case.response for case in column]
        reason[:, node] = [case.note for case in column]
    return OutcomeTable(
        tree=HopTree(len(cases), 1),
        pool=tuple(PricedModel(model, 0.0, 0.0) for model in cases),
        queries=queries,
        context_embedding=np.zeros((len(queries), 1, 1), dtype=np.float32),
        quality=quality,
        tokens_in=none,
        tokens_out=none,
        available=np.ones(shape, dtype=bool),
        response=response,
        encoder={},
        details={"reason": reason, "extracted": extracted},
    )
