"""What an endpoint's error means: one sentence, and whether every other call would meet it too."""

import re
from typing import Any

from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError

from hierrouter_jax.bridge.backends.interface import Failure
from hierrouter_jax.bridge.pool import Endpoint

_LONGEST = 300
_TOO_LONG = re.compile(
    r"context.?(length|size|window)|too long|too many tokens|exceeds? the (model's )?maximum|max_model_len", re.I
)
_UNPAID = {"insufficient_quota", "billing_hard_limit_reached"}
# `transformers serve MODEL` refuses other names with 400 and these words; the field's custom is 404.
_UNKNOWN_MODEL = re.compile(r"model.{0,80}(not found|does not exist)|server is pinned to", re.I)


def refusal(error: APIError, endpoint: Endpoint) -> Failure:
    """Read an error of the client, raised after its retries."""
    url, model, retries, key_name = endpoint.base_url, endpoint.model, endpoint.retries, endpoint.api_key_env
    if isinstance(error, APITimeoutError):
        return Failure(f"{url} gave no answer in time, {retries} retries included; see timeout")
    if isinstance(error, APIConnectionError):
        return Failure(f"the connection to {url} failed, {retries} retries included")
    if not isinstance(error, APIStatusError):
        return Failure(f"{url} answered with something that is no completion")
    said, status = message(error), error.status_code
    if status in (401, 403):  # the answer may quote the key, so it is not told
        key = f"the key in {key_name}" if key_name else "calls without a key; name its variable in api_key_env"
        return Failure(f"{url} refuses {key} (status {status})", "refused")
    if status == 402 or error.code in _UNPAID:
        return Failure(f"{url} wants to be paid before it goes on ({said})", "refused")
    if status == 404 or (status == 400 and _UNKNOWN_MODEL.search(said)):
        return Failure(f"{url} knows no model {model!r} ({said}); see model and base_url", "refused")
    if status in (400, 413, 422) and _TOO_LONG.search(f"{error.code} {error.type} {said}"):
        return Failure(f"the prompt is too long for {model} at {url} ({said})")
    if status == 422:
        return Failure(f"{url} does not take such requests ({said})", "refused")
    if status < 500 and status != 429:
        return Failure(f"{url} refuses the call with status {status} ({said})")
    return Failure(f"{url} failed with status {status}, {retries} retries included ({said})")


def message(error: APIStatusError) -> str:
    """What the endpoint said about it, in one short line."""
    body: Any = error.body
    for name in ("error", "message", "detail"):
        if isinstance(body, dict) and body.get(name):
            body = body[name]
    line = " ".join(str(body or error.response.reason_phrase).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
