"""How a batch is continued: which token comes next, when a response has ended, and the loop with a key-value cache."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import (
    DynamicCache,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteriaList,
    StopStringCriteria,
)
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from hierrouter_jax.bridge.pool import Sampling
from hierrouter_jax.bridge.prompts import digest_of_call
from hierrouter_jax.errors import InputError, reason_of
from hierrouter_jax.outcomes.table import Prompt

NOTHING = -1
GREEDY = Sampling()


@dataclass(frozen=True)
class Decoding:
    """How the rows of a batch are continued.

    Attributes:
      limit: most tokens of a response.
      eos: ids of the tokens that end a response.
      sampling: greedy by default.
      uniforms: a row's draws from [0, 1), one a step; None where decoding is greedy.
      stops: tells of token ids [B, T] whether a stop string ends in the last one; None where there is no such string.
      watch: function that is called with each row and its new token, and ends the row's response by False; not of a
        model that takes the slow path.
    """

    limit: int
    eos: Int[Tensor, " E"]
    sampling: Sampling = GREEDY
    uniforms: Float[Tensor, "B limit"] | None = None
    stops: StopStringCriteria | None = None
    watch: Callable[[int, int], bool] | None = None

    def choose(
        self, logits: Float[Tensor, "B V"], rows: Int[Tensor, " B"], step: int
    ) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
        """The next token of each row, and its log-probability by the model itself (temperature 1, all tokens)."""
        logits = logits.float()
        if self.uniforms is None:
            token = logits.argmax(dim=-1)
        else:
            token = sample(logits, self.sampling, self.uniforms[rows, step])
        chosen = logits.gather(-1, token[:, None])[:, 0]
        return token, chosen - logits.logsumexp(dim=-1)

    def watched(
        self, rows: Int[Tensor, " B"], token: Int[Tensor, " B"], live: Bool[Tensor, " B"]
    ) -> Bool[Tensor, " B"]:
        """Which rows go on, as far as the watcher is concerned."""
        assert self.watch is not None
        each = zip(rows.tolist(), token.tolist(), live.tolist(), strict=True)
        return torch.tensor([alive and self.watch(row, new) for row, new, alive in each], device=live.device)

    def ended(self, tokens: Int[Tensor, "B T"]) -> Bool[Tensor, " B"]:
        """Whether each row's last token ends its response."""
        ended = torch.isin(tokens[:, -1], self.eos.to(tokens.device))
        if self.stops is None:
            return ended
        stops: Any = self.stops  # rules about strings, which look at no scores
        return ended | stops(tokens, None).to(tokens.device)


def sample(logits: Float[Tensor, "B V"], sampling: Sampling, uniform: Float[Tensor, " B"]) -> Int[Tensor, " B"]:
    """One token for each row, by inversion: the first of the likeliest tokens whose cumulated share passes `uniform`.

    Temperature comes first, then top_k, then top_p, as in transformers; equal logits rank by their ids.
    """
    scores, order = (logits / sampling.temperature).sort(dim=-1, descending=True, stable=True)
    if sampling.top_k:
        scores, order = scores[:, : sampling.top_k], order[:, : sampling.top_k]
    share = scores.softmax(dim=-1)
    before = share.cumsum(dim=-1) - share
    share = share.masked_fill(before >= sampling.top_p, 0.0)  # the likeliest one always stays
    cumulated = share.cumsum(dim=-1)
    target = uniform.to(cumulated)[:, None] * cumulated[:, -1:]
    last = (share > 0).sum(dim=-1, keepdim=True) - 1
    place = torch.searchsorted(cumulated, target, right=True).minimum(last)
    return order.gather(-1, place)[:, 0]


def draws(prompts: Sequence[Prompt], sampling: Sampling, limit: int) -> Float[Tensor, "B limit"] | None:
    """Draws of each prompt's own, so that a response does not depend on its batch; None where decoding is greedy."""
    if sampling.greedy:
        return None
    rows = []
    for prompt in prompts:
        generator = torch.Generator().manual_seed(int.from_bytes(digest_of_call(sampling.seed, prompt)[:7]))
        rows.append(torch.rand(limit, generator=generator))
    return torch.stack(rows)


def stop_criteria(name: str, stop: Sequence[str], tokenizer: Any) -> StopStringCriteria | None:
    """What notices the stop strings; reading the vocabulary takes it seconds, once.

    Raises:
      InputError: naming the model, if its tokenizer cannot write a stop string, or cannot be searched for one.
    """
    try:
        return StopStringCriteria(tokenizer, list(stop)) if stop else None
    except Exception as error:  # the search takes a vocabulary apart that is somebody else's
        raise InputError(
            f"model {name!r}: stop is {list(stop)}, but its tokenizer cannot write these strings ({reason_of(error)}); "
            "leave out those with characters that it does not know"
        ) from error


Sharing = Literal["any", "equal", "none"]
PREFILL_ROWS = 32  # as many prompts as keep a small model's activations in the processor's caches
SHRINK_BELOW = 0.9  # share of unfinished rows from which copying the cache is cheaper than carrying finished rows


@torch.inference_mode()
def decode(
    model: PreTrainedModel, ids: Int[Tensor, "B T"], mask: Int[Tensor, "B T"], how: Decoding
) -> tuple[Int[Tensor, "B limit"], Float[Tensor, " B"]]:
    """Continue each row up to and including what ends its response, by at most `how.limit` tokens.

    Greedy, it equals `model.generate(do_sample=False)`, save that no penalty of the model's generation_config is
    obeyed, and that rows which have ended leave the batch.

    Args:
      model: any causal model of transformers. One that keeps other state than keys and values takes the slow path,
        `model.generate`, which needs a generation_config free of penalties.
      ids: prompts, padded on the left.
      mask: 1 at tokens, 0 at padding.
      how: the next token is chosen, and a response ends.
    Returns:
      New tokens on the CPU, NOTHING after a row's end, and the sum of their log-probabilities.
    """
    if not keeps_only_keys_and_values(model):
        return _by_generate(model, ids, mask, how)
    answer = torch.full((len(ids), how.limit), NOTHING, device=ids.device)
    logprob = torch.zeros(len(ids), device=ids.device)
    rows = torch.arange(len(ids), device=ids.device)
    live = torch.ones(len(ids), dtype=torch.bool, device=ids.device)
    logits, cache = _prefill(model, ids, mask)
    for step in range(how.limit):
        token, chance = how.choose(logits, rows, step)
        answer[rows[live], step] = token[live]
        logprob[rows[live]] += chance[live]
        written = token[:, None] if how.stops is None else answer[rows, : step + 1].clamp(min=0)
        if how.watch is not None:
            live &= how.watched(rows, token, live)
        live &= ~how.ended(written)
        unfinished = int(live.sum())
        if not unfinished or step + 1 == how.limit:
            break
        if unfinished <= SHRINK_BELOW * len(live):
            cache.batch_select_indices(live.nonzero()[:, 0])
            rows, token, mask, live = rows[live], token[live], mask[live], live[live]
        mask = torch.nn.functional.pad(mask, (0, 1), value=1)
        logits, cache = _forward(model, token[:, None], mask, cache)
    return answer.cpu(), logprob.cpu()


def keeps_only_keys_and_values(model: PreTrainedModel) -> bool:
    """Whether rows can be taken out of the model's state and put together again."""
    takes = inspect.signature(model.forward).parameters.keys()
    layers = DynamicCache(config=model.config).layers
    return {"past_key_values", "position_ids", "logits_to_keep"} <= takes and all(
        type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers
    )


@torch.inference_mode()
def sharing(model: PreTrainedModel) -> Sharing:
    """Which prompts can be one batch of a model and leave each other's responses alone; by trying it on two short ones.

    Recurrent models may take a mask and not look at it, or mix the rows of a batch, so that a signature tells nothing.
    One whose rounding is taken for a change loses speed alone.

    Returns:
      `any` prompts, those of `equal` length, or `none`: each is a batch of its own.
    """
    if keeps_only_keys_and_values(model):
        return "any"
    embeddings: Any = model.get_input_embeddings()
    size = int(embeddings.weight.shape[0])
    prompts = torch.arange(1, 17, device=model.device).remainder(size).view(2, 8)
    alone = torch.cat([_next_scores(model, prompt[None]) for prompt in prompts])
    if not _alike(_next_scores(model, prompts), alone):
        return "none"
    padding = torch.zeros_like(prompts)
    padded = _next_scores(model, torch.cat([padding, prompts], dim=1), padding.shape[1])
    return "any" if _alike(padded, alone) else "equal"


def _alike(one: Tensor, other: Tensor) -> bool:
    rounding = 1e-4 if one.dtype == torch.float32 else 2e-2
    return bool((one - other).abs().max() <= rounding * other.abs().max().clamp(min=1e-6))


def _next_scores(model: PreTrainedModel, ids: Tensor, padding: int = 0) -> Float[Tensor, "B 2V"]:
    """Logits of two steps as `generate` makes them: what does not belong in a row's state shows in either."""
    generate: Any = model.generate
    mask = torch.ones_like(ids)
    mask[:, :padding] = 0
    output = generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=2,
        min_new_tokens=2,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
        output_logits=True,
        return_dict_in_generate=True,
    )
    return torch.cat(output.logits, dim=1)


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


class _Chooser(LogitsProcessor):
    """Lets `generate` take the token that `Decoding` chooses, and keeps its log-probability."""

    def __init__(self, how: Decoding, rows: Tensor) -> None:
        self._how, self._rows, self.chances = how, rows, []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        token, chance = self._how.choose(scores, self._rows, len(self.chances))
        self.chances.append(chance)
        return torch.full_like(scores, -torch.inf).scatter(1, token[:, None], 0.0)


def _by_generate(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, how: Decoding
) -> tuple[Int[Tensor, "B limit"], Float[Tensor, " B"]]:
    chooser = _Chooser(how, torch.arange(len(ids), device=ids.device))
    width = ids.shape[1]
    rules: list[Any] = [lambda ids, scores, **_: how.ended(ids[:, width:])]
    criteria = StoppingCriteriaList(rules)
    generate: Any = model.generate
    tokens = generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=how.limit,
        do_sample=False,
        logits_processor=LogitsProcessorList([chooser]),
        stopping_criteria=criteria,
        eos_token_id=how.eos.tolist() or None,
        pad_token_id=0,
    )[:, width:]
    ended = torch.stack([how.ended(tokens[:, : step + 1]) for step in range(tokens.shape[1])], dim=1).cumsum(dim=-1)
    after = torch.nn.functional.pad(ended, (1, -1)) > 0
    logprob = torch.stack(chooser.chances, dim=1).masked_fill(after, 0.0).sum(dim=1)
    tokens = torch.nn.functional.pad(
        tokens.masked_fill(after, NOTHING), (0, how.limit - tokens.shape[1]), value=NOTHING
    )
    return tokens.cpu(), logprob.cpu()
