"""What a collection would take: calls, tokens, money, operations and hours, of every model at every hop."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float

from hierrouter_jax.bridge.plan.assumptions import Assumptions, StatedSize
from hierrouter_jax.bridge.plan.encoding import PlannedEncoding, plan_encoding
from hierrouter_jax.bridge.plan.questions import Questions
from hierrouter_jax.bridge.plan.sizes import TokenCounter, model_size, token_counter
from hierrouter_jax.bridge.plan.trees import PartialTrees
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig
from hierrouter_jax.bridge.prompts import HopPrompt, as_text
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.pricing import PricedModel


@dataclass(frozen=True)
class Load:
    """What calls take.

    Attributes:
      tokens_in, tokens_out: read and written.
      cost: in the pool's money unit.
      reading_flops, writing_flops: floating point operations, a multiplication and an addition being two.
      hours: on the device that is assumed.
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
class PlannedCalls:
    """The calls of a model at a hop.

    Attributes:
      hop: from 1; 0 is the one call of a model beside the pool.
      model: its name.
      hops: nodes of all trees that the calls fill, at most where trees are partial.
      fewest: calls if all models always answered alike, so that all routes were one, and no partial tree were grown.
      most: calls if no two responses to a query were the same, and every partial tree were grown as far as it may be;
        only equal questions share calls.
      expected: of the most calls, with responses of the assumed length.
      at_cap: of the most calls, with every response as long as it may be.
    """

    hop: int
    model: str
    hops: int
    fewest: int
    most: int
    expected: Load
    at_cap: Load


@dataclass(frozen=True)
class Plan:
    """What a collection would take.

    Attributes:
      questions, horizon, money_unit: of the collection.
      calls: of every hop and model, hop by hop.
      assumptions: that it rests on.
      sizes: by model.
      encoding: of the contexts of whole trees; None where the encoder is no neural model of parts.
      notes: what is estimated, and from what; one sentence each.
      trees: how far training trees are grown; None where all are whole.
      partial: queries whose trees are partial.
    """

    questions: int
    horizon: int
    money_unit: str
    calls: tuple[PlannedCalls, ...]
    assumptions: Assumptions
    sizes: dict[str, StatedSize]
    encoding: PlannedEncoding | None = None
    notes: tuple[str, ...] = field(default=())
    trees: PartialTrees | None = None
    partial: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data, with totals by model and of everything."""
        by_model = {name: self.total(name) for name in self.sizes}
        return {
            "queries": self.questions,
            "horizon": self.horizon,
            "money_unit": self.money_unit,
            "total": self.total(),
            "models": {name: {**asdict(self.sizes[name]), **total} for name, total in by_model.items()},
            "calls": [asdict(planned) for planned in self.calls],
            "encoding": None if self.encoding is None else asdict(self.encoding),
            "assumptions": asdict(self.assumptions),
            "notes": list(self.notes),
            "trees": None if self.trees is None else {**asdict(self.trees), "partial_queries": self.partial},
        }

    def total(self, model: str | None = None) -> dict[str, Any]:
        """Sums over all hops, of one model or of all."""
        mine = [planned for planned in self.calls if model in (None, planned.model)]
        return {
            **{name: sum(getattr(planned, name) for planned in mine) for name in ("hops", "fewest", "most")},
            "expected": asdict(sum((planned.expected for planned in mine), Load())),
            "at_cap": asdict(sum((planned.at_cap for planned in mine), Load())),
        }


def plan_collection(
    questions: Questions,
    pool: PoolConfig,
    horizon: int,
    assumptions: Assumptions,
    encoder: Mapping[str, Any] = MappingProxyType({}),
    trees: PartialTrees | None = None,
) -> Plan:
    """Plan the trees of all questions; no model is loaded, and nothing is fetched.

    Of a hop's prompt the layout and the question are counted as they are; the responses in it are taken to be of the
    pool's mean length. A prompt that would be trimmed to fit a model's window is counted whole.

    Args:
      questions: what is asked.
      pool: of the collection.
      horizon: largest number of hops.
      assumptions: about what is not known before.
      encoder: the spec of the encoder, its defaults filled in.
      trees: how far training trees are grown; whole by default.
    Raises:
      InputError: if the size of a model is not known, or the pool cannot be priced.
    """
    everyone = (*pool.models, *pool.external)
    sizes = {
        model.name: model_size(model.name, model.source, assumptions, model.trust_remote_code) for model in everyone
    }
    expected = np.stack([_response_tokens(model, sizes[model.name], questions, assumptions) for model in pool.models])
    caps = np.repeat([[float(model.max_new_tokens)] for model in pool.models], len(questions.texts), axis=1)
    partial = 0 if trees is None else trees.queries(questions)
    partly = np.zeros(len(questions.texts)) if trees is None else trees.weight(questions)
    counters, notes = {}, list(questions.notes)
    for model in everyone:
        counters[model.name], exact = token_counter(model.source, assumptions, model.trust_remote_code)
        if not exact:
            estimate = f"characters / {assumptions.characters_per_token:g}, as its tokenizer is not here"
            notes.append(f"{model.name}: tokens are {estimate}")

    def planned(model: ModelConfig, hop: int, stage: int, told: int) -> PlannedCalls:
        size, routes = sizes[model.name], len(pool.models) ** stage
        grown = routes if trees is None else trees.expanded[stage]
        shown = min(stage, 1) if pool.prompt.responses == "last" else stage
        bare = _prompt_tokens(questions, pool.prompt.of(model.name), pool.models, stage, counters[model.name])
        bare += assumptions.template_tokens * model.chat
        own = _response_tokens(model, size, questions, assumptions), np.full(len(bare), float(model.max_new_tokens))
        loads = [
            _load(
                (questions.weight - partly) * routes + partly * grown,
                bare + shown * before.mean(axis=0),
                responses,
                pool.price(model, size.parameters),
                size,
                assumptions,
            )
            for before, responses in zip((expected, caps), own, strict=True)
        ]
        unsure = round(float(partly.sum()))
        fewest = questions.distinct if stage == 0 else (questions.distinct - unsure) * told
        most = (questions.distinct - unsure) * routes + unsure * grown
        hops = (questions.total - partial) * routes + partial * grown
        return PlannedCalls(hop, model.name, hops, fewest, most, *loads)

    calls = [planned(model, stage + 1, stage, _told(pool, stage)) for stage in range(horizon) for model in pool.models]
    calls += [planned(model, 0, 0, 1) for model in pool.external]
    encoding = _encoding(questions, expected, HopTree(len(pool.models), horizon), dict(encoder), assumptions)
    about = questions.total, horizon, pool.money_unit, tuple(calls), assumptions, sizes, encoding, tuple(notes)
    return Plan(*about, trees, partial)


def _told(pool: PoolConfig, stage: int) -> int:
    """Prompts of a question that differ although all responses are alike: where the layout says who gave them."""
    if "{model}" not in pool.prompt.response:
        return 1
    return len(pool.models) ** (min(stage, 1) if pool.prompt.responses == "last" else stage)


def _encoding(
    questions: Questions,
    response_tokens: Float[np.ndarray, "M T"],
    tree: HopTree,
    spec: dict[str, Any],
    assumptions: Assumptions,
) -> PlannedEncoding | None:
    """Of an encoder that embeds questions and responses apart by a neural model, what embedding takes."""
    if "context" in spec.get("parts", ("context",)) or "source" not in spec:
        return None
    size = model_size("encoder", spec["source"], assumptions)
    count, _ = token_counter(spec["source"], assumptions)
    return plan_encoding(questions, count(questions.texts), response_tokens, tree, spec, size, assumptions)


def _response_tokens(
    model: ModelConfig, size: StatedSize, questions: Questions, assumptions: Assumptions
) -> Float[np.ndarray, " T"]:
    """Tokens of the model's response to each text, as assumed."""
    cap = model.max_new_tokens
    stated = [size.response_tokens or assumptions.response_tokens.get(task, cap) for task in questions.tasks]
    return np.minimum(np.array(stated, dtype=float), cap)


def _prompt_tokens(
    questions: Questions, layout: HopPrompt, models: Sequence[ModelConfig], stage: int, count: TokenCounter
) -> Float[np.ndarray, " T"]:
    """Tokens of each text's prompt after `stage` empty responses."""
    before = ("",) * stage, (models[0].name,) * stage
    asked = zip(questions.texts, questions.shots, strict=True)
    return count([as_text(layout(text, *before, shots)) for text, shots in asked])


def _load(
    calls: Float[np.ndarray, " T"],
    tokens_in: Float[np.ndarray, " T"],
    tokens_out: Float[np.ndarray, " T"],
    price: PricedModel,
    size: StatedSize,
    assumptions: Assumptions,
) -> Load:
    """What so many calls of each text take.

    A token takes 2 x parameters operations, and attention over the t tokens up to it t times that of one; over n
    tokens that is half of it n^2 times.
    """
    attention = size.attention_flops / 2
    reading = 2 * size.parameters * tokens_in + attention * tokens_in**2
    whole = 2 * size.parameters * (tokens_in + tokens_out) + attention * (tokens_in + tokens_out) ** 2
    read, written = float(calls @ tokens_in), float(calls @ tokens_out)
    reading_flops, writing_flops = float(calls @ reading), float(calls @ (whole - reading))
    seconds = reading_flops / assumptions.reading_utilisation + writing_flops / assumptions.writing_utilisation
    return Load(
        read,
        written,
        read * price.price_in + written * price.price_out,
        reading_flops,
        writing_flops,
        seconds / assumptions.peak_flops / 3600,
    )
