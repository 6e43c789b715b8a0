"""Long texts: which of their tokens an encoder keeps, and how many contexts lose any."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from jaxtyping import Shaped

from hierrouter_jax.bridge.encoders.interface import Encoder
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.context import Context

# Where a text that is too long is cut: at its beginning, at its end, or in its middle, so that head and tail are kept.
Truncation = Literal["left", "right", "middle"]


def check_truncation(truncation: str) -> None:
    """Refuse what is no place to cut."""
    if truncation not in get_args(Truncation):
        raise InputError(f"truncation is {truncation!r}, but must be left, right or middle")


def keep_ends(features: Mapping[str, Any], max_tokens: int) -> dict[str, Any]:
    """Cut tokenised texts in their middle, so that at most `max_tokens` are left of each.

    Half of them are of the head and half of the tail, an odd one of the head. The tokens that a tokenizer adds stand
    at the ends and so are kept.

    Args:
      features: with an `attention_mask` [B, T]; every other tensor [B, T] is of tokens too, what else there is stays.
      max_tokens: at least 2.
    Returns:
      The same features with tokens [B, min(T, max_tokens)], padded on the right.
    """
    mask: Shaped[torch.Tensor, "B T"] = features["attention_mask"]
    head, tail = max_tokens - max_tokens // 2, max_tokens // 2
    rows = [row.nonzero()[:, 0] for row in mask]
    kept = [row if len(row) <= max_tokens else torch.cat([row[:head], row[-tail:]]) for row in rows]
    # Padding repeats the first token, under a mask of 0.
    where = torch.nn.utils.rnn.pad_sequence(kept, batch_first=True)
    counts = torch.tensor([len(row) for row in kept], device=mask.device)
    cut = {
        name: torch.gather(value, 1, where) if isinstance(value, torch.Tensor) and value.shape == mask.shape else value
        for name, value in features.items()
    }
    real = torch.arange(where.shape[1], device=mask.device) < counts[:, None]
    return {**cut, "attention_mask": real.to(mask.dtype)}


def count_truncated(encoder: Encoder, contexts: Sequence[Context]) -> dict[str, Any]:
    """How many contexts an encoder reads only in part; plain JSON data, for a table's settings.

    Returns:
      `contexts` given; how many of them are `truncated` and which `share`, None where the encoder cannot tell;
      `by_hops`, the same counts for contexts of 0, 1, ... responses.
    """
    cut = encoder.truncated(contexts)
    if cut is None:
        return {"contexts": len(contexts), "truncated": None, "share": None, "by_hops": []}
    hops = [len(context.responses) for context in contexts]
    by_hops = []
    for number in range(max(hops, default=-1) + 1):
        mine = [bool(flag) for flag, hop in zip(cut, hops, strict=True) if hop == number]
        by_hops.append({"hops": number, "contexts": len(mine), "truncated": sum(mine)})
    total = int(cut.sum())
    share = round(total / len(contexts), 4) if contexts else 0.0
    return {"contexts": len(contexts), "truncated": total, "share": share, "by_hops": by_hops}
