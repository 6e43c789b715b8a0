"""The one boundary: whatever an endpoint sent becomes an answer that can be kept and priced, or one failure."""

import json
import math
import re
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from hierrouter_jax.bridge.backends.interface import Failure, Generation, ToolCalls

_MOST_TOKENS = 100_000_000  # no context window is as long: more is no count
_LONGEST_WORD = 40
_ERROR_NAMES = ("error", "message", "detail")  # the outermost first
_SURROGATES = re.compile("[\ud800-\udfff]")

# What vendors call an end, without case, dashes, spaces and a prefix FINISH_REASON_.
_WORDS = {
    "stop": "stop eos eos_token end_turn end stop_sequence stop_token stop_string complete completed done finished "
    "finish tool_calls tool_call tool_use function_call endoftext end_of_text end_of_sequence",
    "length": "length max_tokens max_length max_output_tokens max_new_tokens max_completion_tokens token_limit "
    "model_length context_length model_context_window_exceeded error_limit truncated",
    "content_filter": "content_filter content_filtered content_filtering safety recitation blocklist blocked spii "
    "prohibited_content refusal sensitive guardrail_intervened error_toxic",
    "": "abort aborted cancel canceled cancelled error eval_error engine_error server_error network_error failed "
    "failure timeout insufficient_system_resource malformed_function_call unexpected_tool_call interrupted",
}
_MEANING = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}

_Tokens = Annotated[int, Field(strict=True, ge=0, le=_MOST_TOKENS)]
_LogProb = Annotated[FiniteFloat, Field(strict=True)]
_Text = Annotated[str, Field(strict=True)]


class _Usage(BaseModel):
    prompt_tokens: _Tokens
    completion_tokens: _Tokens


class _Chunk(BaseModel):
    type: _Text = "text"
    text: _Text | None = None


class _Message(BaseModel):
    content: _Text | list[_Text | _Chunk] | None = None
    refusal: _Text | None = None
    tool_calls: list[dict[str, Any]] | None = None


class _Choice(BaseModel):
    finish_reason: _Text | None = None
    message: _Message | None = None
    text: _Text | None = None


class _Token(BaseModel):
    logprob: _LogProb


class _ByContent(BaseModel):
    content: Annotated[list[_Token], Field(min_length=1)]


class _ByToken(BaseModel):
    token_logprobs: Annotated[list[_LogProb | None], Field(min_length=1)]


_Model = TypeVar("_Model", bound=BaseModel)


class Unreadable(Exception):
    """What an endpoint sent cannot be kept. The message says why, in a few words."""


def read_reply(body: bytes, fields: dict[str, Any], limit: int, latency: float, url: str) -> Generation | Failure:
    """An endpoint's reply of status 200, as an answer or a failure of its call.

    Args:
      body: bytes of the reply, as they came.
      fields: fields of the request.
      limit: most tokens that the response may have.
      latency: seconds that the call took.
      url: address of the endpoint, for messages.
    """
    try:
        reply = decoded(body)
        if not isinstance(reply, dict) or not isinstance(reply.get("choices"), list) or not reply["choices"]:
            raise Unreadable((error_line(reply) if _has_error(reply) else "") or "no choices in it")
        text, reason, logprob, calls = _choice(reply["choices"][0])
        if reply.get("usage") is None:
            reason = f"{url} does not say how many tokens a call took, so that it cannot be priced"
            return Failure(reason, "refused")
        usage = _usage(reply["usage"], text, fields)
        finish = _finish(reason, usage.completion_tokens >= limit)
    except Unreadable as error:
        return Failure(f"{url} sent a reply that is no completion ({error})")
    except _BrokenOff as error:
        return Failure(f"{url} broke off with finish reason {error}")
    generation = Generation(text, usage.prompt_tokens, usage.completion_tokens, finish, latency, logprob)
    if not calls:
        return generation
    asking = ToolCalls(*generation)
    asking.calls = calls
    return asking


def decoded(body: bytes) -> Any:
    """The JSON of a body.

    Raises:
      Unreadable: if it is none.
    """
    if not body.strip():
        raise Unreadable("nothing in it")
    try:
        return json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Unreadable("its bytes are no UTF-8") from None
    except RecursionError:
        raise Unreadable("its JSON is nested too deep") from None
    except ValueError:
        raise Unreadable("it is no whole JSON") from None


def _has_error(reply: Any) -> bool:
    return isinstance(reply, str) or (isinstance(reply, dict) and any(name in reply for name in _ERROR_NAMES))


def error_line(body: Any) -> str:
    """What an endpoint's error says, in one line of at most 300 characters; nothing where it says nothing."""
    for name in _ERROR_NAMES:
        if isinstance(body, dict) and body.get(name):
            body = body[name]
    if isinstance(body, str) and body.lstrip().startswith("<"):
        title = re.search(r"<title[^>]*>(.*?)</title", body, re.I | re.S)
        body = title[1] if title else "a web page"
    try:
        line = " ".join(whole_text(str(body)).split()) if body else ""
    except (RecursionError, ValueError):
        line = "a message that cannot be shown"
    return line if len(line) <= 300 else f"{line[:300]}..."


def whole_text(text: str) -> str:
    """The text with U+FFFD in place of lone surrogates, which no file and no encoder takes."""
    return _SURROGATES.sub("\ufffd", text)


class _BrokenOff(Exception):
    """The endpoint says that it did not finish the response."""


def _valid(model: type[_Model], value: Any, where: str) -> _Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(map(str, (where, *first["loc"])))
        words = re.sub(r" or instance of \w+", "", first["msg"])
        raise Unreadable(f"{place}: {words[0].lower()}{words[1:]}") from None
    except RecursionError:
        raise Unreadable(f"{where} is nested too deep") from None


def _choice(content: Any) -> tuple[str, str | None, float | None, tuple[dict[str, Any], ...]]:
    """Its text, finish reason, log-probability and tool calls; both layouts are read, whatever was asked."""
    choice = _valid(_Choice, content, "choices.0")
    if choice.message is None and choice.text is None:
        raise Unreadable("choices.0: neither a message nor a text in it")
    text = (choice.text or "") if choice.message is None else _content(choice.message)
    calls = tuple((choice.message and choice.message.tool_calls) or ())
    return whole_text(text), choice.finish_reason, _logprob(content.get("logprobs")), calls


def content_text(content: Any, refusal: Any = None) -> str:
    """The text of a message, or of a part of a streamed one; chunks of it are joined, those of reasoning left out.

    Args:
      content: content of the message, in whatever layout it came.
      refusal: refusal of the message, which is its text where there is no other.

    Raises:
      Unreadable: if they are in no layout that is known.
    """
    return _content(_valid(_Message, {"content": content, "refusal": refusal}, "choices.0.message"))


def _content(message: _Message) -> str:
    content = message.content
    if content is None:
        return message.refusal or ""
    if isinstance(content, str):
        return content
    texts = []
    for chunk in content:
        if isinstance(chunk, str):
            texts.append(chunk)
        elif chunk.type in ("text", "output_text"):
            if chunk.text is None:
                raise Unreadable("choices.0.message.content: a chunk of text without text")
            texts.append(chunk.text)
        elif chunk.type not in ("thinking", "reasoning", "redacted_thinking"):
            raise Unreadable(f"choices.0.message.content: a chunk of type {chunk.type[:_LONGEST_WORD]!r}")
    return "".join(texts)


def _usage(usage: Any, text: str, fields: dict[str, Any]) -> _Usage:
    counts = _valid(_Usage, usage, "usage")
    if text and not counts.completion_tokens:
        raise Unreadable(f"usage.completion_tokens: 0 for a response of {len(text)} characters")
    if not counts.prompt_tokens and (fields.get("messages") or fields.get("prompt")):
        raise Unreadable("usage.prompt_tokens: 0 for a prompt that is not empty")
    return counts


def _finish(word: str | None, at_limit: bool) -> str:
    """What a vendor's word means; a word that nobody knows stays, unless the response is as long as it may be."""
    name = re.sub(r"[-\s]+", "_", (word or "").strip().lower()).removeprefix("finish_reason_")
    if not name:
        return "length" if at_limit else "stop"
    meaning = _MEANING.get(name)
    if meaning == "":
        raise _BrokenOff(repr(word))
    if meaning is None:
        return "length" if at_limit else " ".join(whole_text(word or "").split())[:_LONGEST_WORD]
    return meaning


def _logprob(layout: Any) -> float | None:
    """Sum over the tokens, in both layouts that are in use; None where one is not known.

    Of the completions layout the first may be null: it had no token before it.
    """
    try:
        if isinstance(layout, dict) and layout.get("token_logprobs"):
            values = _ByToken.model_validate(layout).token_logprobs
            values = values[1:] if values[0] is None else values
        else:
            values = [token.logprob for token in _ByContent.model_validate(layout).content]
    except (ValidationError, RecursionError):
        return None
    known = [value for value in values if value is not None]
    total = sum(known) if known and len(known) == len(values) else math.nan
    return total if math.isfinite(total) else None
