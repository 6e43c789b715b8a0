"""Tokens of imported outcomes: as given, counted from the text, or stated; and what cost then means."""

# pandas has no types of its own: what a frame gives is a union of everything to a checker.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from hierrouter_jax.errors import InputError

_WORDS = re.compile(r"\w+|[^\w\s]")


class TokenCounter(Protocol):
    """A named way to count tokens.

    Attributes:
      name: which tokenizer, for the record.
    """

    @property
    def name(self) -> str: ...

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        ...


class WordCounter:
    """Counts words and punctuation marks: needs no tokenizer, and is named as what it is."""

    name = "words"

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(_WORDS.findall(text)) for text in texts]


def fill_tokens(
    frame: pd.DataFrame, counter: TokenCounter | None, tokens_out: int | None, costs_stated: bool = False
) -> tuple[pd.DataFrame, dict[str, object]]:
    """The frame with whole-number `tokens_in` and `tokens_out`, and how they came about.

    Args:
      frame: outcomes that are there.
      counter: counts those that are not given.
      tokens_out: stated number of tokens of a response, where there is neither response nor count.
      costs_stated: whether every outcome states its cost. Tokens then price nothing: those that are not given are
        counted as words where there is no counter, and are 0 where there is no text.

    Raises:
      InputError: if tokens must be counted and there is no counter, or some outcomes alone have no response.
    """
    filled = frame.copy()
    counter = WordCounter() if counter is None and costs_stated else counter
    told: dict[str, object] = {"tokenizer": None, "counted_in": 0, "counted_out": 0}
    for name, text in (("tokens_in", "query"), ("tokens_out", "response")):
        rows = filled[name].isna() & filled[text].notna()
        if not rows.any():
            continue
        if counter is None:
            row = filled[rows].iloc[0]
            raise InputError(
                f"query {row['query_id']!r}, model {row['model']!r}: {name} is not given; name the tokenizer to count "
                "it with: --tokenizer SOURCE (a hub id, a folder, a tokenizer.json; or words)"
            )
        texts = list(dict.fromkeys(filled.loc[rows, text]))
        counts = dict(zip(texts, counter.count(texts), strict=True))
        filled.loc[rows, name] = filled.loc[rows, text].map(counts)
        told["tokenizer"] = counter.name
        told["counted_in" if name == "tokens_in" else "counted_out"] = int(rows.sum())
    unknown = filled["tokens_out"].isna()
    if unknown.any() and not unknown.all() and tokens_out is None and not costs_stated:
        row = filled[unknown].iloc[0]
        raise InputError(
            f"query {row['query_id']!r}, model {row['model']!r}: there is neither response nor tokens_out, though "
            "other outcomes have them; state a number for such outcomes with --tokens_out N"
        )
    filled.loc[unknown, "tokens_out"] = tokens_out or 0
    told["stated_out"] = None if not unknown.any() else tokens_out
    told["without_out"] = int(unknown.sum())
    return filled.astype({"tokens_in": np.int32, "tokens_out": np.int32}), told


def cost_meaning(told: dict[str, object], costs_stated: bool) -> str:
    """One sentence: what the table's cost is made of."""
    if costs_stated:
        counted = f"; tokens that it does not state are counted by {told['tokenizer']}" if told["tokenizer"] else ""
        return f"cost is as the source states it for each outcome{counted}"
    counted = f"counted by {told['tokenizer']}" if told["tokenizer"] else "as given"
    if not told["without_out"]:
        return f"cost is tokens read and written, {counted}, at the stated prices"
    if told["stated_out"]:
        return (
            f"cost is tokens read, {counted}, and an assumed {told['stated_out']} tokens written where there is no "
            f"response ({told['without_out']} outcomes), at the stated prices"
        )
    return f"cost is of tokens read alone, {counted}, at the stated prices: there are no responses to count"
