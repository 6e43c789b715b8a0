"""Greedy decoding of a batch with a key-value cache: rows leave the batch when they are done."""

import inspect
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

NOTHING = -1
PREFILL_ROWS = 32  # as many prompts as keep a small model's activations in the processor's caches
SHRINK_BELOW = 0.9  # share of unfinished rows from which copying the cache is cheaper than carrying finished rows


@torch.inference_mode()
def greedy(
    model: PreTrainedModel, ids: Int[Tensor, "B T"], mask: Int[Tensor, "B T"], eos: Int[Tensor, " E"], limit: int
) -> Int[Tensor, "B limit"]:
    """Continue each row with the most likely tokens up to and including an end token, at most `limit` of them.

    Equals `model.generate(do_sample=False)`, save that no penalty of the model's generation_config is obeyed, in a
    fraction of its time on a CPU: 2.7 ms a call instead of 12 for the tiny pool's reader in batches of 512
    on one core, half of it the prompt's own pass.

    Args:
      model: any causal model of transformers. One that keeps other state than keys and values takes the slow path,
        `model.generate`, which needs a generation_config free of penalties.
      ids: prompts, padded on the left.
      mask: 1 at tokens, 0 at padding.
      eos: the tokens that end a response.
    Returns:
      New tokens on the CPU; NOTHING after a row's end.
    """
    if not keeps_only_keys_and_values(model):
        return _by_generate(model, ids, mask, eos, limit)
    answer = torch.full((len(ids), limit), NOTHING)
    rows = torch.arange(len(ids), device=ids.device)
    live = torch.ones(len(ids), dtype=torch.bool, device=ids.device)
    logits, cache = _prefill(model, ids, mask)
    for step in range(limit):
        token = logits.argmax(dim=-1)
        answer[rows[live].cpu(), step] = token[live].cpu()
        live &= ~torch.isin(token, eos)
        unfinished = int(live.sum())
        if not unfinished or step + 1 == limit:
            break
        if unfinished <= SHRINK_BELOW * len(live):
            cache.batch_select_indices(live.nonzero()[:, 0])
            rows, token, mask, live = rows[live], token[live], mask[live], live[live]
        mask = torch.nn.functional.pad(mask, (0, 1), value=1)
        logits, cache = _forward(model, token[:, None], mask, cache)
    return answer


def keeps_only_keys_and_values(model: PreTrainedModel) -> bool:
    """Whether rows can be taken out of the model's state and put together again."""
    takes = inspect.signature(model.forward).parameters.keys()
    layers = DynamicCache(config=model.config).layers
    return {"past_key_values", "position_ids", "logits_to_keep"} <= takes and all(
        type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers
    )


def _prefill(model: PreTrainedModel, ids: Tensor, mask: Tensor) -> tuple[Tensor, DynamicCache]:
    """Last logits [B, V] and cache of all prompts; a few rows at a time, each time as wide as these need."""
    parts = []
    for some, tokens in zip(ids.split(PREFILL_ROWS), mask.split(PREFILL_ROWS), strict=True):
        first = int(tokens.argmax(dim=1).min())
        parts.append(_forward(model, some[:, first:], tokens[:, first:], DynamicCache(config=model.config)))
    caches = [cache for _, cache in parts]
    merged = max(caches, key=lambda cache: cache.get_seq_length())
    for layer, *every in zip(merged.layers, *(cache.layers for cache in caches), strict=True):
        if layer.keys is not None:  # None where a layer uses another one's
            width = layer.keys.shape[-2]
            layer.keys, layer.values = (
                torch.cat([_pad_left(getattr(one, name), width) for one in every]) for name in ("keys", "values")
            )
    return torch.cat([logits for logits, _ in parts]), merged


def _pad_left(states: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(states, (0, 0, width - states.shape[-2], 0))


def _forward(model: PreTrainedModel, ids: Tensor, mask: Tensor, cache: DynamicCache) -> tuple[Tensor, DynamicCache]:
    """Logits [B, V] after the last of `ids` and the grown cache; positions count tokens, not padding."""
    position = (mask.cumsum(dim=-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    output = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=position,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return output.logits[:, -1], output.past_key_values


def _by_generate(model: PreTrainedModel, ids: Tensor, mask: Tensor, eos: Tensor, limit: int) -> Tensor:
    generate: Any = model.generate
    tokens = generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=limit,
        do_sample=False,
        eos_token_id=eos.tolist() or None,
        pad_token_id=0,
    )[:, ids.shape[1] :].cpu()
    ended = torch.isin(tokens, eos.cpu()).cumsum(dim=-1)
    after = torch.nn.functional.pad(ended, (1, -1)) > 0
    return torch.nn.functional.pad(tokens.masked_fill(after, NOTHING), (0, limit - tokens.shape[1]), value=NOTHING)
