"""Size and tokenizer of a model, from what is on this machine; nothing is fetched and no weight is read."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from transformers import AutoConfig, AutoTokenizer

from hierrouter_jax.bridge.backends.transformers import ChatTemplate
from hierrouter_jax.bridge.forecast.assumptions import Assumptions, StatedSize
from hierrouter_jax.bridge.forecast.questions import Questions
from hierrouter_jax.bridge.pool import ModelConfig, count_parameters, described, member_size
from hierrouter_jax.bridge.pretrained import ForeignCode, from_pretrained
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree

TokenCounter = Callable[[Sequence[str]], Float[np.ndarray, " B"]]
# What transformers raises where there is no such model here, or none that it can read.
_NOT_HERE = (OSError, ValueError, KeyError, ImportError)


def pool_size(config: ModelConfig, assumptions: Assumptions) -> StatedSize:
    """The size of a member: stated for its `size_from` or its source, or else of the config that those name.

    Raises:
      InputError: if it is not stated, and the configuration is not on this machine or asks to run code.
    """
    if not config.size_from:
        return model_size(config.name, config.source, assumptions, config.trust_remote_code)
    if isinstance(config.size_from, str) and config.size_from in assumptions.sizes:
        return assumptions.sizes[config.size_from]
    known = None
    try:
        if not isinstance(config.size_from, str) and config.source:
            known = _local(AutoConfig, config.source, config.trust_remote_code)
        counted = member_size(config, known, local_files_only=True)
        assert counted is not None  # one of both names a config
    except ForeignCode as error:
        raise InputError(f"model {config.name!r}: {error}") from None
    except InputError:
        raise
    except (*_NOT_HERE, AttributeError):
        raise _unknown(config.name, config.size_basis) from None
    return StatedSize(counted.parameters, counted.layers, counted.width)


def model_size(name: str, source: str, assumptions: Assumptions, trust: bool = False) -> StatedSize:
    """The stated size of a model, or else the one of its configuration.

    Args:
      name: name of the model, for messages.
      source: source of the model, as the pool states it.
      assumptions: assumptions, which may state the size.
      trust: whether code that comes with the source may be run.

    Raises:
      InputError: if it is not stated, and the configuration is not on this machine or asks to run code.
    """
    if source in assumptions.sizes:
        return assumptions.sizes[source]
    try:
        counted = count_parameters(_local(AutoConfig, source, trust), trust)
        return StatedSize(counted.parameters, counted.layers, counted.width)
    except ForeignCode as error:
        raise InputError(f"model {name!r}: {error}") from None
    except (*_NOT_HERE, AttributeError):
        raise _unknown(name, source) from None


def _unknown(name: str, source: str) -> InputError:
    return InputError(
        f"model {name!r}: the configuration of {source or 'its endpoint'} is not on this machine; state its size "
        f"under sizes in the forecast's assumptions ('{source}': {{parameters: ..., layers: ..., width: ...}})"
    )


def token_counter(source: str, assumptions: Assumptions, trust: bool = False) -> tuple[TokenCounter, bool]:
    """What counts the tokens of texts, and whether it is the model's own tokenizer rather than an estimate.

    A tokenizer whose code may not be run is one that is not there.
    """
    with suppress(*_NOT_HERE):
        tokenizer = _local(AutoTokenizer, source, trust)

        def exact(texts: Sequence[str]) -> Float[np.ndarray, " B"]:
            return np.array([len(ids) for ids in tokenizer(list(texts), verbose=False).input_ids], dtype=float)

        return exact, True

    def estimate(texts: Sequence[str]) -> Float[np.ndarray, " B"]:
        return np.array([len(text) for text in texts]) / assumptions.characters_per_token

    return estimate, False


def template_tokens(config: ModelConfig, assumptions: Assumptions) -> float:
    """Tokens that a member's chat template and system prompt add to a prompt: its own's, or else as assumed."""
    if not config.chat:
        return 0.0
    with suppress(*_NOT_HERE):
        tokenizer = _local(AutoTokenizer, config.source, config.trust_remote_code)
        text = "x"
        whole = ChatTemplate(config.name, tokenizer, config.system)(text)
        count = [len(tokenizer(shown, add_special_tokens=False).input_ids) for shown in (whole, text)]
        return float(count[0] - count[1])
    return float(assumptions.template_tokens)


def _local(kind: Any, source: str, trust: bool) -> Any:
    """A source's tokenizer or config, as far as it is on this machine."""
    return from_pretrained(kind, described(source), trust=trust, local_files_only=True)


_FLOAT_BYTES = 4


@dataclass(frozen=True)
class EncodingForecast:
    """What embedding takes; each distinct question and response is embedded once.

    Attributes:
      texts: largest number of texts.
      tokens: tokens that the encoder reads, what is cut from long texts left out.
      truncated: number of texts that are cut.
      flops: number of floating point operations.
      hours: time on the device that is assumed, at the utilisation of reading.
      table_bytes: size of the embeddings in the table, in bytes.
    """

    texts: int
    tokens: float
    truncated: int
    flops: float
    hours: float
    table_bytes: int


def forecast_encoding(
    questions: Questions,
    question_tokens: Float[np.ndarray, " T"],
    response_tokens: Float[np.ndarray, "M T"],
    tree: HopTree,
    spec: dict[str, Any],
    size: StatedSize,
    assumptions: Assumptions,
) -> EncodingForecast:
    """Forecast the embedding of questions and responses apart.

    A token takes 2 x parameters operations, and attention over the n tokens of its text n times that of one.

    Args:
      questions: texts that stand for the queries.
      question_tokens: [T], tokens of each text.
      response_tokens: [M, T], tokens that each model is taken to answer each text with.
      tree: hop tree of the collection.
      spec: spec of an encoder of parts; `max_tokens` is what it reads of a text, everything where it is not stated.
      size: size of its model.
      assumptions: speed of the device.
    """
    longest = spec.get("max_tokens") or np.inf
    answers = (tree.num_decision_nodes - 1) // tree.num_models  # of each model, before the last hop
    lengths = np.concatenate([question_tokens[None], np.repeat(response_tokens, answers, axis=0)])
    times = np.broadcast_to(questions.weight, lengths.shape)
    read = np.minimum(lengths, longest)
    operations = 2 * size.parameters * read + size.attention_flops * read**2
    flops = float((times * operations).sum())
    return EncodingForecast(
        texts=round(float(times.sum())),
        tokens=float((times * read).sum()),
        truncated=round(float(times[lengths > longest].sum())),
        flops=flops,
        hours=flops / assumptions.peak_flops / assumptions.reading_utilisation / 3600,
        table_bytes=questions.total * tree.num_decision_nodes * len(spec["parts"]) * size.width * _FLOAT_BYTES,
    )
