"""What imported outcomes cost: tokens as given, counted from the text, or stated; and price lists.

Price lists are YAML or JSON, a price for every model of the pool; an unknown price is refused, never taken as 0.
"""

# pandas has no types of its own: what a frame gives is a union of everything to a checker.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from hierrouter_jax.config import load_yaml
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.outcomes.importers.records import Price
from hierrouter_jax.outcomes.importers.routes import ARROW, prompts

_WORDS = re.compile(r"\w+|[^\w\s]")
_LLMROUTER_PER, _LLMROUTER_UNIT = 1e6, "US dollars"
_FIELDS = ("money_unit", "per_tokens", "models")


class TokenCounter(Protocol):
    """A named way to count tokens.

    Attributes:
      name: name of the tokenizer, for the record.
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
      frame: the outcomes that there are.
      counter: what counts the tokens that are not given.
      tokens_out: stated number of tokens of a response, where there is neither response nor count.
      costs_stated: whether every outcome states its cost. Tokens then price nothing: those that are not given are
        counted as words where there is no counter, and are 0 where there is no text.

    Raises:
      InputError: if tokens must be counted and there is no counter, or some outcomes alone have no response.
    """
    filled = frame.assign(prompt=prompts(frame))
    counter = WordCounter() if counter is None and costs_stated else counter
    report: dict[str, object] = {"tokenizer": None, "counted_in": 0, "counted_out": 0}
    for name, text in (("tokens_in", "prompt"), ("tokens_out", "response")):
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
        report["tokenizer"] = counter.name
        report["counted_in" if name == "tokens_in" else "counted_out"] = int(rows.sum())
    unread = filled["tokens_in"].isna()
    if unread.any() and not costs_stated:
        row = filled[unread].iloc[0]
        route = f" {ARROW} ".join(row["route"])
        raise InputError(
            f"query {row['query_id']!r}, route {route!r}: tokens_in is not given, and neither is an earlier response "
            "of the route, which it would be counted from"
        )
    filled.loc[unread, "tokens_in"] = 0
    unknown = filled["tokens_out"].isna()
    if unknown.any() and not unknown.all() and tokens_out is None and not costs_stated:
        row = filled[unknown].iloc[0]
        raise InputError(
            f"query {row['query_id']!r}, model {row['model']!r}: there is neither response nor tokens_out, though "
            "other outcomes have them; state a number for such outcomes with --tokens_out N"
        )
    filled.loc[unknown, "tokens_out"] = tokens_out or 0
    report["stated_out"] = None if not unknown.any() else tokens_out
    report["without_out"] = int(unknown.sum())
    return filled.astype({"tokens_in": np.int32, "tokens_out": np.int32}), report


def cost_meaning(tokens: dict[str, object], costs_stated: bool) -> str:
    """One sentence: what the table's cost is made of; `tokens` is what `fill_tokens` reports."""
    if costs_stated:
        counted = f"; tokens that it does not state are counted by {tokens['tokenizer']}" if tokens["tokenizer"] else ""
        return f"cost is as the source states it for each outcome{counted}"
    counted = f"counted by {tokens['tokenizer']}" if tokens["tokenizer"] else "as given"
    if not tokens["without_out"]:
        return f"cost is tokens read and written, {counted}, at the stated prices"
    if tokens["stated_out"]:
        return (
            f"cost is tokens read, {counted}, and an assumed {tokens['stated_out']} tokens written where there is no "
            f"response ({tokens['without_out']} outcomes), at the stated prices"
        )
    return f"cost is of tokens read alone, {counted}, at the stated prices: there are no responses to count"


def read_prices(path: Path) -> tuple[dict[str, Price], str]:
    """Prices by model, and the money unit.

    The project's own layout has `money_unit`, `per_tokens` (how many tokens a price buys; 1 unless given) and
    `models`, each with `base_rate`, or `price_in` and `price_out`. LLMRouter's `default_llm.json` has `input_price`
    and `output_price`, in US dollars per million tokens, for every model.

    Raises:
      InputError: naming the file, the model and the field at fault.
    """
    data = load_yaml(path)
    models = data.get("models", data)
    if not isinstance(models, dict) or not models:
        raise InputError(f"{path}: models must hold prices by model")
    if models is data:
        per, unit = _LLMROUTER_PER, _LLMROUTER_UNIT
        pairs = {name: _pair(path, name, fields, ("input_price", "output_price")) for name, fields in models.items()}
    else:
        unknown = next((name for name in data if name not in _FIELDS), None)
        if unknown is not None:
            raise InputError(f"{path}: {unknown} is not a field; {nearest(str(unknown), _FIELDS)}")
        per, unit = _price(path, "top level", "per_tokens", data.get("per_tokens", 1)), data.get("money_unit")
        if not isinstance(unit, str) or not unit or not per:
            raise InputError(f"{path}: money_unit must say what a cost of 1 means, and per_tokens be above 0")
        pairs = {name: _stated(path, name, fields) for name, fields in models.items()}
    return {str(name): Price(one / per, other / per) for name, (one, other) in pairs.items()}, unit


def check_prices(prices: Mapping[str, Price], models: Iterable[str], where: str) -> None:
    """Refuse a pool of which a member has no price.

    Raises:
      InputError: naming the model.
    """
    for model in models:
        if model not in prices:
            known = f"it states those of {', '.join(prices)}" if prices else "none is stated"
            raise InputError(
                f"{where}: model {model!r} has no price ({known}); give --prices FILE with a price for every model"
            )


def _stated(path: Path, name: Any, fields: Any) -> tuple[float, float]:
    if isinstance(fields, dict) and set(fields) == {"base_rate"}:
        return _pair(path, name, fields, ("base_rate", "base_rate"))
    if isinstance(fields, dict) and set(fields) <= {"price_in", "price_out"}:
        return _pair(path, name, fields, ("price_in", "price_out"))
    raise InputError(f"{path}: models.{name}: state either base_rate, or both price_in and price_out, and no more")


def _pair(path: Path, name: Any, fields: Any, sides: tuple[str, str]) -> tuple[float, float]:
    if not isinstance(fields, dict):
        raise InputError(f"{path}: {name} is {fields!r:.40}, but must hold {' and '.join(sides)}")
    return _price(path, name, sides[0], fields.get(sides[0])), _price(path, name, sides[1], fields.get(sides[1]))


def _price(path: Path, name: Any, field: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise InputError(f"{path}: {name}: {field} is {value!r}, but must be a number of at least 0")
    return float(value)
