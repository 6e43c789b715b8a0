"""What a request to an endpoint holds beside its prompt, and which members' calls are the same."""

import json
from typing import Any

from hierrouter_jax.bridge.pool.config import ModelConfig
from hierrouter_jax.bridge.pool.endpoint import DISPENSABLE


def decoding_fields(member: ModelConfig) -> dict[str, Any]:
    """The fields of every request that say how a member of kind `openai` decodes.

    Greedy decoding is temperature 0 and nothing else. The penalty of 0 is the default of the API, but
    `transformers serve` then no longer obeys a repetition penalty of the model's generation_config.
    """
    sampling, stop = member.sampling, member.stop
    fields = {"max_tokens": member.max_new_tokens, "temperature": sampling.temperature, "frequency_penalty": 0}
    nucleus = {} if sampling.greedy else {"top_p": sampling.top_p}
    most_likely = {"extra_body": {"top_k": sampling.top_k}} if sampling.top_k else {}
    return {**fields, **nucleus, **most_likely, **({"stop": list(stop)} if stop else {})}


def call_identity(member: ModelConfig) -> str:
    """Names the weights behind a member's URL, how they decode and what they are told first; never the key.

    Calls of equal prompts and equal identities are made once.
    """
    return _named(member, decoding_fields(member))


def family(member: ModelConfig) -> str | None:
    """`call_identity` without the limit of a response; None of members that draw, or whose weights run here.

    Of members of one family, a response that ended by itself is that of every larger limit, too.
    """
    if member.kind != "openai" or not member.sampling.greedy:
        return None
    fields = decoding_fields(member)
    del fields["max_tokens"]
    return _named(member, fields)


def _named(member: ModelConfig, fields: dict[str, Any]) -> str:
    endpoint, context = member.endpoint, {"chat": member.chat, "system": member.system}
    assert endpoint is not None  # the member is of kind openai
    weights = endpoint.weights or f"{endpoint.model}@{endpoint.base_url.rstrip('/')}"  # a command demands weights
    decoding = fields | ({} if member.sampling.greedy else {"seed": member.sampling.seed})
    for name in set(endpoint.leave_out) - set(DISPENSABLE):
        decoding.pop("extra_body" if name == "top_k" else name, None)
    return f"openai/{weights}/{json.dumps({**decoding, **context})}"
