"""What `scripts.regrade` regrades: a response with the verdict that was published with it."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierrouter_jax.bridge.grading.verdict import Verdict
from hierrouter_jax.outcomes.table import Query

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
