"""Size and tokenizer of a model, from what is on this machine; nothing is fetched and no weight is read."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from hierrouter_jax.bridge.plan.assumptions import Assumptions, StatedSize
from hierrouter_jax.bridge.pool import resolve_source
from hierrouter_jax.errors import InputError

TokenCounter = Callable[[Sequence[str]], Float[np.ndarray, " B"]]
# What transformers raises where there is no such model here, or none that it can read.
_NOT_HERE = (OSError, ValueError, KeyError, ImportError)


def model_size(name: str, source: str, assumptions: Assumptions) -> StatedSize:
    """The stated size of a model, or else the one of its configuration.

    Raises:
      InputError: if it is not stated, and the configuration is not on this machine.
    """
    if source in assumptions.sizes:
        return assumptions.sizes[source]
    try:
        config: Any = AutoConfig.from_pretrained(resolve_source(source), local_files_only=True)
        with torch.device("meta"):
            parameters = AutoModelForCausalLM.from_config(config).num_parameters()
        config = config.get_text_config()
        heads = config.num_attention_heads
        width = heads * (getattr(config, "head_dim", None) or config.hidden_size // heads)
        return StatedSize(parameters, config.num_hidden_layers, width)
    except (*_NOT_HERE, AttributeError):
        raise InputError(
            f"model {name!r}: the configuration of {source or 'its endpoint'} is not on this machine; state its size "
            f"under sizes in the plan's assumptions ('{source}': {{parameters: ..., layers: ..., width: ...}})"
        ) from None


def token_counter(source: str, assumptions: Assumptions) -> tuple[TokenCounter, bool]:
    """What counts the tokens of texts, and whether it is the model's own tokenizer rather than an estimate."""
    with suppress(*_NOT_HERE):
        tokenizer: Any = AutoTokenizer.from_pretrained(resolve_source(source), local_files_only=True)

        def exact(texts: Sequence[str]) -> Float[np.ndarray, " B"]:
            return np.array([len(ids) for ids in tokenizer(list(texts), verbose=False).input_ids], dtype=float)

        return exact, True

    def estimate(texts: Sequence[str]) -> Float[np.ndarray, " B"]:
        return np.array([len(text) for text in texts]) / assumptions.characters_per_token

    return estimate, False
