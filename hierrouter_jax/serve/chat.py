"""OpenAI's chat completions: their fields, their answers, and their streams."""

import json
import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi.sse import format_sse_event
from pydantic import BaseModel, ConfigDict, Field

from hierrouter_jax.bridge.backends.interface import Piece
from hierrouter_jax.serve.episode import Episode
from hierrouter_jax.serve.shapes import Conditions, Strict, error_body, tokens_of

Stops = Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=16)]

# Fields that every hop is told; `max_tokens` also comes as `max_completion_tokens`.
PASSED = (
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
)


class Message(BaseModel):
    """A turn; what it holds beside role and content goes to the members as it is."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None


class StreamOptions(Strict):
    """What a stream holds beside the answer."""

    include_usage: bool = False
    include_obfuscation: Literal[False] | None = None


class Request(Strict):
    """A chat completion's request."""

    model: str = "auto"
    messages: Annotated[list[Message], Field(min_length=1)]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    max_tokens: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    stop: Annotated[str, Field(min_length=1)] | Stops | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: dict[str, float] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    store: Literal[False] | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    hierrouter: Conditions | None = None

    @property
    def turns(self) -> list[dict[str, Any]]:
        """The messages as plain data."""
        return [{"role": turn.role, "content": turn.content, **_present(turn.model_extra)} for turn in self.messages]

    @property
    def options(self) -> dict[str, Any]:
        """What every hop's generation is told."""
        fields = {name: getattr(self, name) for name in PASSED if getattr(self, name) is not None}
        limit = self.max_completion_tokens or self.max_tokens
        return fields | ({"max_tokens": limit} if limit else {}) | ({"stop": self.stop} if self.stop else {})


def _present(extra: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (extra or {}).items() if value not in (None, [])}


def answer(request: Request, episode: Episode, extension: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request, whole."""
    message: dict[str, Any] = {"role": "assistant", "content": episode.answer or (None if episode.calls else "")}
    if episode.calls:
        message["tool_calls"] = list(episode.calls)
    choice = {"index": 0, "message": message, "finish_reason": finish_of(episode), "logprobs": None}
    return {**_head(episode, request.model, ""), "choices": [choice], "usage": _usage(episode), "hierrouter": extension}


def finish_of(episode: Episode) -> str:
    """Why the answer ends, in the words of the interface."""
    if episode.calls:
        return "tool_calls"
    reason = episode.hops[-1].finish_reason if episode.hops else "stop"
    return reason if reason in ("length", "content_filter") else "stop"


def _head(episode: Episode, model: str, kind: str) -> dict[str, Any]:
    created = int(time.time())
    return {"id": f"chatcmpl-{episode.ask.id}", "object": f"chat.completion{kind}", "created": created, "model": model}


def _usage(episode: Episode) -> dict[str, int]:
    read, written = tokens_of(episode)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


class Stream:
    """An answer as server-sent events.

    Args:
      request: request that is answered.
      episode: the request under way.
    """

    def __init__(self, request: Request, episode: Episode) -> None:
        self._request, self._episode = request, episode
        self._head = _head(episode, request.model, ".chunk")

    def begin(self) -> Iterator[bytes]:
        yield self._chunk({"role": "assistant", "content": ""})

    def piece(self, piece: Piece) -> Iterator[bytes]:
        delta: dict[str, Any] = {"content": piece.text} if piece.text else {}
        if piece.calls:
            delta["tool_calls"] = [{"index": index, **call} for index, call in enumerate(piece.calls)]
        yield self._chunk(delta)

    def end(self, extension: dict[str, Any]) -> Iterator[bytes]:
        usage = bool(self._request.stream_options and self._request.stream_options.include_usage)
        yield self._chunk({}, finish_of(self._episode), {} if usage else {"hierrouter": extension})
        if usage:
            body = {**self._head, "choices": [], "usage": _usage(self._episode), "hierrouter": extension}
            yield format_sse_event(data_str=json.dumps(body))
        yield format_sse_event(data_str="[DONE]")

    def error(self, status: int, message: str, kind: str) -> Iterator[bytes]:
        yield format_sse_event(data_str=json.dumps(error_body("/v1/chat/completions", status, message, kind)))

    def _chunk(self, delta: dict[str, Any], reason: str | None = None, more: dict[str, Any] | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return format_sse_event(data_str=json.dumps({**self._head, "choices": [choice], **(more or {})}))
