"""Size and tokenizer of a model, from what is on this machine; nothing is fetched and no weight is read."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from jaxtyping import Float
from transformers import AutoConfig, AutoTokenizer

from hierrouter_jax.bridge.plan.assumptions import Assumptions, StatedSize
from hierrouter_jax.bridge.pool import count_parameters, resolve_source
from hierrouter_jax.bridge.pretrained import ForeignCode, from_pretrained
from hierrouter_jax.errors import InputError

TokenCounter = Callable[[Sequence[str]], Float[np.ndarray, " B"]]
# What transformers raises where there is no such model here, or none that it can read.
_NOT_HERE = (OSError, ValueError, KeyError, ImportError)


def model_size(name: str, source: str, assumptions: Assumptions, trust: bool = False) -> StatedSize:
    """The stated size of a model, or else the one of its configuration.

    Args:
      name: of the model, for messages.
      source: as the pool states it.
      assumptions: which may state the size.
      trust: whether code that comes with the source may be run.

    Raises:
      InputError: if it is not stated, and the configuration is not on this machine or asks to run code.
    """
    if source in assumptions.sizes:
        return assumptions.sizes[source]
    try:
        known = from_pretrained(AutoConfig, resolve_source(source), trust=trust, local_files_only=True)
        counted = count_parameters(known, trust)
        return StatedSize(counted.parameters, counted.layers, counted.width)
    except ForeignCode as error:
        raise InputError(f"model {name!r}: {error}") from None
    except (*_NOT_HERE, AttributeError):
        raise InputError(
            f"model {name!r}: the configuration of {source or 'its endpoint'} is not on this machine; state its size "
            f"under sizes in the plan's assumptions ('{source}': {{parameters: ..., layers: ..., width: ...}})"
        ) from None


def token_counter(source: str, assumptions: Assumptions, trust: bool = False) -> tuple[TokenCounter, bool]:
    """What counts the tokens of texts, and whether it is the model's own tokenizer rather than an estimate.

    A tokenizer whose code may not be run is one that is not there.
    """
    with suppress(*_NOT_HERE):
        tokenizer: Any = from_pretrained(AutoTokenizer, resolve_source(source), trust=trust, local_files_only=True)

        def exact(texts: Sequence[str]) -> Float[np.ndarray, " B"]:
            return np.array([len(ids) for ids in tokenizer(list(texts), verbose=False).input_ids], dtype=float)

        return exact, True

    def estimate(texts: Sequence[str]) -> Float[np.ndarray, " B"]:
        return np.array([len(text) for text in texts]) / assumptions.characters_per_token

    return estimate, False
