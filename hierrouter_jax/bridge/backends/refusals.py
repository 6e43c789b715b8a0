"""What an endpoint's error means: one sentence, and whether every other call would meet it too."""

import re
from typing import Any, NamedTuple

from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError

from hierrouter_jax.bridge.pool import Endpoint

_LONGEST = 300
_TOO_LONG = re.compile(
    r"context.?(length|size|window)|too long|too many tokens|exceeds? the (model's )?maximum|max_model_len", re.I
)
_UNPAID = {"insufficient_quota", "billing_hard_limit_reached"}
# `transformers serve MODEL` refuses other names with 400 and these words; the field's custom is 404.
_UNKNOWN_MODEL = re.compile(r"model.{0,80}(not found|does not exist)|server is pinned to", re.I)


class Refusal(NamedTuple):
    """Why a call gave no response.

    Attributes:
      reason: in one line.
      stops: whether it is about the endpoint or the settings, so that no other call can fare better.
    """

    reason: str
    stops: bool


def refusal(error: APIError, endpoint: Endpoint) -> Refusal:
    """Read an error of the client, raised after its retries."""
    url, model, retries, key_name = endpoint.base_url, endpoint.model, endpoint.retries, endpoint.api_key_env
    if isinstance(error, APITimeoutError):
        return Refusal(f"{url} gave no answer in time, {retries} retries included; see timeout", False)
    if isinstance(error, APIConnectionError):
        return Refusal(f"the connection to {url} failed, {retries} retries included", False)
    if not isinstance(error, APIStatusError):
        return Refusal(f"{url} answered with something that is no completion", False)
    said, status = message(error), error.status_code
    if status in (401, 403):  # the answer may quote the key, so it is not told
        key = f"the key in {key_name}" if key_name else "calls without a key; name its variable in api_key_env"
        return Refusal(f"{url} refuses {key} (status {status})", True)
    if status == 402 or error.code in _UNPAID:
        return Refusal(f"{url} wants to be paid before it goes on ({said})", True)
    if status == 404 or (status == 400 and _UNKNOWN_MODEL.search(said)):
        return Refusal(f"{url} knows no model {model!r} ({said}); see model and base_url", True)
    if status in (400, 413, 422) and _TOO_LONG.search(f"{error.code} {error.type} {said}"):
        return Refusal(f"the prompt is too long for {model} at {url} ({said})", False)
    if status == 422:
        return Refusal(f"{url} does not take such requests ({said})", True)
    if status < 500 and status != 429:
        return Refusal(f"{url} refuses the call with status {status} ({said})", False)
    return Refusal(f"{url} failed with status {status}, {retries} retries included ({said})", False)


def message(error: APIStatusError) -> str:
    """What the endpoint said about it, in one short line."""
    body: Any = error.body
    for name in ("error", "message", "detail"):
        if isinstance(body, dict) and body.get(name):
            body = body[name]
    line = " ".join(str(body or error.response.reason_phrase).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
