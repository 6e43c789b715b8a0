"""What a collection would take: calls, tokens, money, operations and hours, of every model at every hop."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float

from hierrouter_jax.bridge.forecast.assumptions import Assumptions, StatedSize
from hierrouter_jax.bridge.forecast.measured import BESIDE, Measured, Work, seconds, unmeasured
from hierrouter_jax.bridge.forecast.questions import PartialTrees, Questions
from hierrouter_jax.bridge.forecast.sizes import (
    EncodingForecast,
    TokenCounter,
    forecast_encoding,
    model_size,
    pool_size,
    template_tokens,
    token_counter,
)
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from hierrouter_jax.bridge.prompts import HopPrompt, as_text
from hierrouter_jax.hop_tree import HopTree


@dataclass(frozen=True)
class Load:
    """What calls take.

    Attributes:
      tokens_in, tokens_out: tokens read and tokens written.
      cost: price of the tokens, in the pool's money unit.
      reading_flops, writing_flops: floating point operations, a multiplication and an addition being two.
      hours: time on the device that is assumed, at the model's stated rate, or as was measured.
    """

    tokens_in: float = 0.0
    tokens_out: float = 0.0
    cost: float = 0.0
    reading_flops: float = 0.0
    writing_flops: float = 0.0
    hours: float = 0.0

    def __add__(self, other: "Load") -> "Load":
        return Load(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class CallsForecast:
    """The calls of a model at a hop.

    Attributes:
      hop: place on the route, from 1; 0 is the one call of a model beside the pool.
      model: name of the model.
      hops: nodes of all trees that the calls fill, at most where trees are partial.
      fewest: calls if all models always answered alike, so that all routes were one, and no partial tree were grown.
      most: calls if no two responses to a query were the same, and every partial tree were grown as far as it may be;
        only equal questions share calls.
      expected_calls: the most, or of them as large a share as was measured.
      expected: load of those calls, with responses of the assumed or measured length.
      at_cap: load of the most calls, with every response as long as it may be.
    """

    hop: int
    model: str
    hops: int
    fewest: int
    most: int
    expected_calls: float
    expected: Load
    at_cap: Load


@dataclass(frozen=True)
class Forecast:
    """What a collection would take.

    Attributes:
      questions, horizon, money_unit: the collection's number of queries, largest number of hops and money unit.
      calls: calls of every hop and model, hop by hop.
      assumptions: assumptions that it rests on.
      sizes: size of each model, by name.
      encoding: work of embedding the contexts of whole trees; None where the encoder is no neural model of parts.
      notes: sentences that say what is estimated, and from what.
      trees: how far training trees are grown; None where all are whole.
      partial: number of queries whose trees are partial.
      measured: table that lengths of responses, shared calls and hours are taken from; None where they are assumed.
    """

    questions: int
    horizon: int
    money_unit: str
    calls: tuple[CallsForecast, ...]
    assumptions: Assumptions
    sizes: dict[str, StatedSize]
    encoding: EncodingForecast | None = None
    notes: tuple[str, ...] = field(default=())
    trees: PartialTrees | None = None
    partial: int = 0
    measured: Measured | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data, with totals by model and of everything."""
        by_model = {name: self.total(name) for name in self.sizes}
        return {
            "queries": self.questions,
            "horizon": self.horizon,
            "money_unit": self.money_unit,
            "total": self.total(),
            "models": {name: {**asdict(self.sizes[name]), **total} for name, total in by_model.items()},
            "calls": [asdict(calls) for calls in self.calls],
            "encoding": None if self.encoding is None else asdict(self.encoding),
            "assumptions": asdict(self.assumptions),
            "notes": list(self.notes),
            "trees": None if self.trees is None else {**self.trees.to_dict(), "partial_queries": self.partial},
            "measured": None if self.measured is None else asdict(self.measured),
        }

    def total(self, model: str | None = None) -> dict[str, Any]:
        """Sums over all hops, of one model or of all."""
        mine = [calls for calls in self.calls if model in (None, calls.model)]
        return {
            **{
                name: sum(getattr(calls, name) for calls in mine)
                for name in ("hops", "fewest", "most", "expected_calls")
            },
            "expected": asdict(sum((calls.expected for calls in mine), Load())),
            "at_cap": asdict(sum((calls.at_cap for calls in mine), Load())),
        }


def forecast_collection(
    questions: Questions,
    pool: PoolConfig,
    horizon: int,
    assumptions: Assumptions,
    encoder: Mapping[str, Any] = MappingProxyType({}),
    trees: PartialTrees | None = None,
    measured: Measured | None = None,
) -> Forecast:
    """Forecast the trees of all questions; no model is loaded, and nothing is fetched.

    Of a hop's prompt the layout and the question are counted as they are; the responses in it are taken to be of the
    pool's mean length. A prompt that would be trimmed to fit a model's window is counted whole.

    Args:
      questions: texts that stand for the queries.
      pool: pool of the collection.
      horizon: largest number of hops.
      assumptions: assumptions about what is not known before.
      encoder: the spec of the encoder, its defaults filled in.
      trees: how far training trees are grown; whole by default.
      measured: a collected table of the pool, to be used instead of assumptions.
    Raises:
      InputError: if the tree is too large, the size of a model is not known, or the pool cannot be priced.
    """
    tree, everyone = HopTree(len(pool.models), horizon), (*pool.models, *pool.external)
    sizes = {model.name: pool_size(model, assumptions) for model in everyone}

    def responses(model: ModelConfig, hop: int) -> Float[np.ndarray, " T"]:
        return _response_tokens(model, hop, sizes[model.name], questions, assumptions, measured)

    expected = [np.stack([responses(model, stage + 1) for model in pool.models]) for stage in range(horizon)]
    caps = np.repeat([[float(model.max_new_tokens)] for model in pool.models], len(questions.texts), axis=1)
    partial = 0 if trees is None else trees.queries(questions)
    partly = np.zeros(len(questions.texts)) if trees is None else trees.weight(questions)
    counters, notes = {}, list(questions.notes)
    for model in everyone:
        counters[model.name], exact = token_counter(model.source, assumptions, model.trust_remote_code)
        if not exact:
            estimate = f"characters / {assumptions.characters_per_token:g}, as its tokenizer is not here"
            notes.append(f"{model.name}: tokens are {estimate}")

    def forecast(model: ModelConfig, hop: int, stage: int) -> CallsForecast:
        size, layout = sizes[model.name], pool.prompt.of(model.name)
        shown, nodes = layout.shown(stage), len(pool.models) ** stage
        routes = nodes if shown or not stage else 0  # who reads the query alone was asked at the first hop
        expanded = nodes if trees is None else trees.expanded[stage]
        grown = min(routes, expanded)
        bare = _prompt_tokens(questions, layout, pool.models, stage, counters[model.name])
        bare += template_tokens(model, assumptions)
        known = None if measured is None else measured.of(model.name, hop)
        share = known.calls_per_hop if known is not None and (stage or hop == BESIDE) else 1.0
        calls = (questions.weight - partly) * routes + partly * grown

        def load(calls: Float[np.ndarray, " T"], before: list, written: Float[np.ndarray, " T"]) -> Load:
            read = bare + sum(of_stage.mean(axis=0) for of_stage in before)
            tokens = _work(calls, read, written, size)
            cost = pool.price(model, size.parameters).cost(tokens.tokens_in, tokens.tokens_out)
            slots = model.endpoint.concurrency if model.endpoint else 1
            took = seconds(tokens, model.name, hop, assumptions, measured, slots)
            return Load(tokens.tokens_in, tokens.tokens_out, cost, *tokens[3:], took / 3600)

        longest = np.full(len(bare), float(model.max_new_tokens))
        loads = (
            load(calls * share, [expected[earlier] for earlier in shown], responses(model, hop)),
            load(calls, [caps for _ in shown], longest),
        )
        unsure = round(float(partly.sum()))
        least = min(routes, _least_prompts(pool, stage, shown))
        fewest = questions.distinct if stage == 0 else (questions.distinct - unsure) * least
        most = (questions.distinct - unsure) * routes + unsure * grown
        hops = (questions.total - partial) * nodes + partial * expanded
        return CallsForecast(hop, model.name, hops, fewest, most, most * share, *loads)

    calls = [forecast(model, stage + 1, stage) for stage in range(horizon) for model in pool.models]
    calls += [forecast(model, BESIDE, 0) for model in pool.external]
    encoding = _encoding(questions, expected[0], tree, dict(encoder), assumptions)
    notes += [] if measured is None else unmeasured(pool, horizon, measured)
    collection = questions.total, horizon, pool.money_unit
    return Forecast(*collection, tuple(calls), assumptions, sizes, encoding, tuple(notes), trees, partial, measured)


def _least_prompts(pool: PoolConfig, stage: int, shown: range) -> int:
    """Number of a question's prompts that are new after `stage` hops although all responses are alike.

    The layout may say who gave them. Where it shows the last one alone, without its number, the third hop's prompts
    are those of the second.
    """
    if stage > 1 and pool.prompt.responses == "last" and "{number}" not in pool.prompt.response:
        return 0
    return len(pool.models) ** len(shown) if "{model}" in pool.prompt.response else 1


def _encoding(
    questions: Questions,
    response_tokens: Float[np.ndarray, "M T"],
    tree: HopTree,
    spec: dict[str, Any],
    assumptions: Assumptions,
) -> EncodingForecast | None:
    """Of an encoder that embeds questions and responses apart by a neural model, what embedding takes."""
    if "context" in spec.get("parts", ("context",)) or "source" not in spec:
        return None
    size = model_size("encoder", spec["source"], assumptions)
    count, _ = token_counter(spec["source"], assumptions)
    return forecast_encoding(questions, count(questions.texts), response_tokens, tree, spec, size, assumptions)


def _response_tokens(
    model: ModelConfig,
    hop: int,
    size: StatedSize,
    questions: Questions,
    assumptions: Assumptions,
    measured: Measured | None,
) -> Float[np.ndarray, " T"]:
    """Tokens of the model's response to each text at a hop, as measured or else as assumed."""
    cap = model.max_new_tokens
    stated = {
        task: known if known is not None else size.response_tokens or assumptions.response_tokens.get(task, cap)
        for task in set(questions.tasks)
        for known in [None if measured is None else measured.response_tokens(model.name, hop, task)]
    }
    return np.minimum(np.array([stated[task] for task in questions.tasks], dtype=float), cap)


def _prompt_tokens(
    questions: Questions, layout: HopPrompt, models: Sequence[ModelConfig], stage: int, count: TokenCounter
) -> Float[np.ndarray, " T"]:
    """Tokens of each text's prompt after `stage` empty responses."""
    before = ("",) * stage, (models[0].name,) * stage
    pairs = zip(questions.texts, questions.shots, strict=True)
    return count([as_text(layout(text, *before, shots)) for text, shots in pairs])


def _work(
    calls: Float[np.ndarray, " T"],
    tokens_in: Float[np.ndarray, " T"],
    tokens_out: Float[np.ndarray, " T"],
    size: StatedSize,
) -> Work:
    """What so many calls of each text take.

    A token takes 2 x parameters operations, and attention over the t tokens up to it t times that of one; over n
    tokens that is half of it n^2 times.
    """
    attention = size.attention_flops / 2
    reading = 2 * size.parameters * tokens_in + attention * tokens_in**2
    whole = 2 * size.parameters * (tokens_in + tokens_out) + attention * (tokens_in + tokens_out) ** 2
    sums = (float(calls @ each) for each in (tokens_in, tokens_out, reading, whole - reading))
    return Work(float(calls.sum()), *sums)
