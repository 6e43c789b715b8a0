"""Which token comes next: the most likely one, or a draw of a row's own; and when a response has ended."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import StopStringCriteria

from hierrouter_jax.bridge.pool import Sampling
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
    """

    limit: int
    eos: Int[Tensor, " E"]
    sampling: Sampling = GREEDY
    uniforms: Float[Tensor, "B limit"] | None = None
    stops: StopStringCriteria | None = None

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

    def ended(self, said: Int[Tensor, "B T"]) -> Bool[Tensor, " B"]:
        """Whether each row's last token ends its response."""
        ended = torch.isin(said[:, -1], self.eos.to(said.device))
        return ended if self.stops is None else ended | self.stops(said, None).to(said.device)  # type: ignore[arg-type]


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


def digest_of_call(seed: int, prompt: Prompt) -> bytes:
    """What a call's draws follow from: different prompts do not share them."""
    return hashlib.sha256(f"{seed}:{json.dumps(prompt)}".encode()).digest()


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


def cut(text: str, stop: Sequence[str]) -> str:
    """The text up to the first stop string in it."""
    ends = [at for string in stop if (at := text.find(string)) >= 0]
    return text[: min(ends)] if ends else text
