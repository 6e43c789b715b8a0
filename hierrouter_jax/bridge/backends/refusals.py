"""Why a call gets no answer: this machine's proxies, certificates and keys, and what an endpoint's error means."""

import asyncio
import math
import os
import random
import re
import time
from collections.abc import Collection, Mapping
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from hierrouter_jax.bridge.backends.interface import Failure
from hierrouter_jax.bridge.backends.reply import Unreadable, decoded, error_line
from hierrouter_jax.bridge.pool import Endpoint
from hierrouter_jax.bridge.pool.endpoint import DISPENSABLE
from hierrouter_jax.errors import InputError

FIRST_WAIT = 0.5  # seconds
LONGEST_WAIT = 8.0  # seconds, of a wait that the endpoint did not ask for
LONGEST_ASKED = 120.0  # seconds, of one that it did


class Retries:
    """The retries of one call: how many there were, and why there are no more.

    Args:
      most: largest number of requests beyond the first.
      hurry: event that is set when nothing is to be tried again.

    Attributes:
      count: how often the request was sent again.
      too_long: seconds that the endpoint asked to wait, where that is too long; None as a rule.
      declined: whether the endpoint asked not to be tried again.
    """

    def __init__(self, most: int, hurry: asyncio.Event) -> None:
        self.count, self.too_long, self.declined = 0, None, False
        self._most, self._hurry = most, hurry

    async def again(self, status: int | None, headers: Mapping[str, str]) -> bool:
        """Whether to send the request again, after the wait that belongs before it.

        Args:
          status: HTTP status of the answer; None where there was none.
          headers: HTTP headers of the answer.
        """
        advice = headers.get("x-should-retry", "")
        passing = status is None or status in _PASSING or status >= 500
        if advice == "false":
            self.declined = passing
            return False
        if (not passing and advice != "true") or self.count >= self._most or self._hurry.is_set():
            return False
        requested = retry_after(headers)
        if requested is not None and requested > LONGEST_ASKED:
            self.too_long = requested
            return False
        wait = requested or min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(self.count, 30)) * random.uniform(0.75, 1)
        try:
            await asyncio.wait_for(self._hurry.wait(), wait)
        except TimeoutError:
            self.count += 1
            return True
        return False

    def __str__(self) -> str:
        """What became of the retries, as the end of a sentence."""
        included = f", {self.count} retries included" if self.count else ""
        if self.too_long is not None:
            asks = f"asks to wait {self.too_long:.0f} s, more than the {LONGEST_ASKED:.0f} s that a call waits"
        elif self.declined:
            asks = "asks not to be tried again"
        else:
            asks = ""
        return included + (f", and {asks}" if asks else "")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks to wait, by `retry-after-ms` or `retry-after`; None where it does not say."""
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * scale
        except ValueError:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - time.time()
            except (ValueError, OverflowError):
                continue
        if math.isnan(seconds):
            continue
        return max(seconds, 0.0)
    return None


LIMIT_NAMES = ("max_tokens", "max_completion_tokens")  # the second is what OpenAI's newer models call it


def without(request: dict[str, Any], left_out: Collection[str], limit_name: str) -> dict[str, Any]:
    """The fields of a request as the client takes them, without some and with its limit under another name."""
    fields = {name: value for name, value in request.items() if name not in left_out}
    extra = {name: value for name, value in fields.pop("extra_body", {}).items() if name not in left_out}
    if limit_name != LIMIT_NAMES[0] and LIMIT_NAMES[0] in fields:
        extra[limit_name] = fields.pop(LIMIT_NAMES[0])
    return fields | ({"extra_body": extra} if extra else {})


_TOO_LONG = re.compile(
    r"context.?(length|size|window|limit)|\btoo long|too many (input |prompt )?tokens|max_model_len"
    r"|maximum (model|prompt|input|sequence) length|reduce the length|longer than the (model|maximum)|request too large"
    r"|inputs?`? tokens.{0,40}must be|(prompt|input).{0,60}(exceeds?|exceeded|is longer)\b"
    r"|exceeds? the (model'?s? )?maximum (number of )?(input |prompt )?(tokens|length)|cannot exceed the total tokens",
    re.I,
)
_UNPAID = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "credit_balance_too_low"}
# `transformers serve MODEL` refuses other names with 400 and these words; the field's custom is 404.
_UNKNOWN_MODEL = re.compile(
    r"model.{0,80}(not found|not exist|not supported|unknown)|(unknown|invalid|no such) model|server is pinned to", re.I
)
_PASSING = (408, 409, 429)


class Refused(NamedTuple):
    """An answer of a status that is no success.

    Attributes:
      status: HTTP status code.
      words: what it says, in one line.
      codes: its `code`, `type` and `param`, as far as there are any.
    """

    status: int
    words: str
    codes: tuple[str, ...]

    @property
    def unpaid(self) -> bool:
        return self.status == 402 or not _UNPAID.isdisjoint(self.codes)


def refused(status: int, body: bytes, phrase: str) -> Refused:
    """Read such an answer; the phrase of its status speaks for an empty body."""
    try:
        content = decoded(body)
    except Unreadable:
        content = body.decode("utf-8", "replace")
    inner: Any = content.get("error", content) if isinstance(content, dict) else None
    layers = [layer for layer in (content, inner) if isinstance(layer, dict)]
    codes = [layer.get(name) for layer in layers for name in ("code", "type", "param")]
    return Refused(
        status, error_line(content) or phrase, tuple(str(code) for code in codes if isinstance(code, str | int))
    )


def as_failure(answer: Refused, endpoint: Endpoint, retries: Retries) -> Failure:
    """Why a call failed that was answered so."""
    url, model, key_name = endpoint.base_url, endpoint.model, endpoint.api_key_env
    status, words = answer.status, answer.words
    if answer.unpaid:
        return Failure(f"{url} wants to be paid before it goes on ({words})", "refused")
    if status >= 500 or status in _PASSING:
        return Failure(f"{url} failed with status {status}{retries} ({words})")
    if status == 401:  # the answer may quote the key, so it is not told
        key = f"the key in {key_name}" if key_name else "calls without a key; name its variable in api_key_env"
        return Failure(f"{url} refuses {key} (status 401)", "refused")
    if status == 403:
        key = f"the key in {key_name} or this call" if key_name else "this call, or all without a key"
        return Failure(f"{url} refuses {key} (status 403: {words})", "refused")
    if status == 413 or (status in (400, 422) and _TOO_LONG.search(" ".join((*answer.codes, words)))):
        return Failure(f"the prompt is too long for {model} at {url} ({words})")
    if status == 404 or (status == 400 and _UNKNOWN_MODEL.search(words)):
        return Failure(f"{url} knows no model {model!r} ({words}); see model and base_url", "refused")
    if status == 422:
        return Failure(f"{url} does not take such requests ({words}); see leave_out", "refused")
    return Failure(f"{url} refuses the call with status {status} ({words})", "refused")


def dispensable(answer: Refused, sent: Collection[str]) -> set[str]:
    """Fields that the endpoint objects to and that need not be there, however it writes their names."""
    if answer.status in (401, 402, *_PASSING):
        return set()
    squeezed = _squeezed(" ".join((answer.words, *answer.codes)))
    return {name for name in DISPENSABLE if name in sent and _squeezed(name) in squeezed}


def wants_other_limit(answer: Refused, sent: Collection[str]) -> bool:
    """Whether the endpoint asks for `max_completion_tokens` in place of `max_tokens`."""
    old, new = LIMIT_NAMES
    if answer.status not in (400, 422) or old not in sent:
        return False
    return _squeezed(new) in _squeezed(answer.words) or {"unsupported_parameter", old} <= set(answer.codes)


def _squeezed(text: str) -> str:
    """A text without what differs between frequency_penalty, frequencyPenalty and `Frequency penalty`."""
    return re.sub(r"[\W_]+", "", text).lower()


_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_SCHEMES = ("http", "https", "socks5", "socks5h")


def check_environment() -> None:
    """Refuse what no client could be made with.

    Raises:
      InputError: naming the variable, but not its value, which may hold a password.
    """
    for upper in _PROXIES:
        for variable in (upper, upper.lower()):
            if value := os.environ.get(variable, "").strip():
                _check_proxy(variable, value)
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if value := os.environ.get(variable, ""):
            _check_certificates(variable, value)


def no_client(url: str, error: Exception) -> InputError:
    """Why no client can be made, though all that was looked at is in order."""
    variable = "SSL_CERT_FILE"
    if isinstance(error, OSError) and os.environ.get(variable):
        return InputError(
            f"the environment variable {variable} names {os.environ[variable]}, which holds no certificates ({error})"
        )
    return InputError(f"no client for {url} can be made here ({error!r})")


def read_key(name: str, endpoint: Endpoint) -> str | None:
    """The key that an endpoint's variable holds; None where none is named.

    Raises:
      InputError: if the variable is empty, or holds what cannot be sent.
    """
    variable = endpoint.api_key_env
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InputError(f"model {name!r}: the environment variable {variable} holds no key")
    for place, character in enumerate(key, start=1):
        if not "!" <= character <= "~":
            raise InputError(
                f"model {name!r}: the environment variable {variable} holds no key that can be sent: character {place} "
                f"of {len(key)} is {_named(character)}; copy the key again, without quotes"
            )
    return key


def _check_proxy(variable: str, value: str) -> None:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise InputError(f"the environment variable {variable} names no proxy that can be used ({error})") from None
    if parts.scheme not in _SCHEMES or not host or port == 0:
        raise InputError(
            f"the environment variable {variable} names no proxy that can be used: an address such as "
            f"http://proxy.example:8080 is, of scheme {', '.join(_SCHEMES)}"
        )
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        raise InputError(
            f"the environment variable {variable} names a SOCKS proxy, which needs a package: pip install socksio, or "
            "unset the variable"
        )


def _check_certificates(variable: str, value: str) -> None:
    path = Path(value)
    if not (path.is_file() if variable == "SSL_CERT_FILE" else path.is_dir()):
        raise InputError(f"the environment variable {variable} names {value}, which is not there; unset or mend it")


def _named(character: str) -> str:
    if character.isascii():
        return "a space" if character == " " else f"the control character {ord(character)}"
    return f"{character!r}, which is no ASCII"
