"""Size and tokenizer of a model, from what is on this machine; nothing is fetched and no weight is read."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from jaxtyping import Float
from transformers import AutoConfig, AutoTokenizer

from hierrouter_jax.bridge.backends.chat import ChatTemplate
from hierrouter_jax.bridge.plan.assumptions import Assumptions, StatedSize
from hierrouter_jax.bridge.pool import ModelConfig, count_parameters, described, member_size
from hierrouter_jax.errors import InputError

TokenCounter = Callable[[Sequence[str]], Float[np.ndarray, " B"]]
# What transformers raises where there is no such model here, or none that it can read.
_NOT_HERE = (OSError, ValueError, KeyError, ImportError)


def pool_size(config: ModelConfig, assumptions: Assumptions) -> StatedSize:
    """The size of a member: stated for its `size_from` or its source, or else of the config that those name.

    Raises:
      InputError: if it is not stated, and the configuration is not on this machine.
    """
    if not config.size_from:
        return model_size(config.name, config.source, assumptions)
    if isinstance(config.size_from, str) and config.size_from in assumptions.sizes:
        return assumptions.sizes[config.size_from]
    known = None
    try:
        if not isinstance(config.size_from, str):
            known = AutoConfig.from_pretrained(described(config.source), local_files_only=True)
        counted = member_size(config, known, local_files_only=True)
        assert counted is not None  # one of both names a config
    except InputError:
        raise
    except (*_NOT_HERE, AttributeError):
        raise _unknown(config.name, config.size_basis) from None
    return StatedSize(counted.parameters, counted.layers, counted.width)


def model_size(name: str, source: str, assumptions: Assumptions) -> StatedSize:
    """The stated size of a model, or else the one of its configuration.

    Raises:
      InputError: if it is not stated, and the configuration is not on this machine.
    """
    if source in assumptions.sizes:
        return assumptions.sizes[source]
    try:
        counted = count_parameters(AutoConfig.from_pretrained(described(source), local_files_only=True))
        return StatedSize(counted.parameters, counted.layers, counted.width)
    except (*_NOT_HERE, AttributeError):
        raise _unknown(name, source) from None


def _unknown(name: str, source: str) -> InputError:
    return InputError(
        f"model {name!r}: the configuration of {source or 'its endpoint'} is not on this machine; state its size "
        f"under sizes in the plan's assumptions ('{source}': {{parameters: ..., layers: ..., width: ...}})"
    )


def token_counter(source: str, assumptions: Assumptions) -> tuple[TokenCounter, bool]:
    """What counts the tokens of texts, and whether it is the model's own tokenizer rather than an estimate."""
    with suppress(*_NOT_HERE):
        tokenizer = _tokenizer(source)

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
        tokenizer = _tokenizer(config.source)
        text = "x"
        whole = ChatTemplate(config.name, tokenizer, config.system)(text)
        count = [len(tokenizer(shown, add_special_tokens=False).input_ids) for shown in (whole, text)]
        return float(count[0] - count[1])
    return float(assumptions.template_tokens)


def _tokenizer(source: str) -> Any:
    return AutoTokenizer.from_pretrained(described(source), local_files_only=True)
