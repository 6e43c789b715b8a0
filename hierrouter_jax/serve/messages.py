"""Anthropic's messages: their fields, their answers, and their streams."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi.sse import format_sse_event
from pydantic import Field

from hierrouter_jax.bridge.backends.interface import Piece
from hierrouter_jax.errors import InputError
from hierrouter_jax.serve.chat import Stops
from hierrouter_jax.serve.episode import Episode
from hierrouter_jax.serve.shapes import Conditions, Strict, error_body, tokens_of

Blocks = list[dict[str, Any]]


class Turn(Strict):
    """A turn of the conversation."""

    role: Literal["user", "assistant"]
    content: str | Blocks


class Request(Strict):
    """A message's request."""

    model: str = "auto"
    messages: Annotated[list[Turn], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1, lt=2**31)]
    system: str | Blocks | None = None
    stream: bool | None = False
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    stop_sequences: Stops | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    hierrouter: Conditions | None = None

    @property
    def turns(self) -> list[dict[str, Any]]:
        """The conversation as messages of a chat completion."""
        turns = [{"role": "system", "content": _text(self.system, "system")}] if self.system else []
        for place, turn in enumerate(self.messages):
            turns += _turns(turn, f"messages.{place}.content")
        return turns

    @property
    def options(self) -> dict[str, Any]:
        """What every hop's generation is told, in the fields of a chat completion."""
        fields = {name: getattr(self, name) for name in ("max_tokens", "temperature", "top_p", "top_k")}
        fields |= {"stop": self.stop_sequences or None}
        if self.tools:
            fields["tools"] = [_tool(tool, f"tools.{place}") for place, tool in enumerate(self.tools)]
        if self.tool_choice:
            fields |= _tool_choice(self.tool_choice)
        return {name: value for name, value in fields.items() if value is not None}


def answer(request: Request, episode: Episode, extension: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request, whole."""
    head = _head(request, episode)
    text = [{"type": "text", "text": episode.answer}] if episode.answer or not episode.calls else []
    content = [*text, *(_tool_use(call) for call in episode.calls)]
    return {**head, "content": content, "stop_reason": _stop_reason(episode), "usage": _usage(episode)} | {
        "hierrouter": extension
    }


class Stream:
    """An answer as server-sent events.

    Args:
      request: request that is answered.
      episode: the request under way.
    """

    def __init__(self, request: Request, episode: Episode) -> None:
        self._request, self._episode, self._text = request, episode, False

    def begin(self) -> Iterator[bytes]:
        yield _event("message_start", message=_head(self._request, self._episode))

    def piece(self, piece: Piece) -> Iterator[bytes]:
        if piece.text and not self._text:
            self._text = True
            yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        if piece.text:
            yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece.text})

    def end(self, extension: dict[str, Any]) -> Iterator[bytes]:
        if self._text:
            yield _event("content_block_stop", index=0)
        for index, call in enumerate(self._episode.calls, start=int(self._text)):
            block = _tool_use(call)
            yield _event("content_block_start", index=index, content_block={**block, "input": {}})
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            yield _event("content_block_delta", index=index, delta=delta)
            yield _event("content_block_stop", index=index)
        delta = {"stop_reason": _stop_reason(self._episode), "stop_sequence": None}
        yield _event("message_delta", delta=delta, usage=_usage(self._episode), hierrouter=extension)
        yield _event("message_stop")

    def error(self, status: int, message: str, kind: str) -> Iterator[bytes]:
        body = error_body("/v1/messages", status, message, kind)
        yield format_sse_event(event="error", data_str=json.dumps(body))


def _event(name: str, **values: Any) -> bytes:
    return format_sse_event(event=name, data_str=json.dumps({"type": name, **values}))


def _head(request: Request, episode: Episode) -> dict[str, Any]:
    names = {"id": f"msg_{episode.ask.id}", "type": "message", "role": "assistant", "model": request.model}
    empty = {"content": [], "stop_reason": None, "stop_sequence": None}
    return {**names, **empty, "usage": {"input_tokens": 0, "output_tokens": 0}}


def _usage(episode: Episode) -> dict[str, int]:
    read, written = tokens_of(episode)
    return {"input_tokens": read, "output_tokens": written}


def _stop_reason(episode: Episode) -> str:
    if episode.calls:
        return "tool_use"
    reason = episode.hops[-1].finish_reason if episode.hops else "stop"
    return {"length": "max_tokens", "content_filter": "refusal"}.get(reason, "end_turn")


def _text(content: Any, where: str) -> str:
    """The text of a system prompt or of a tool's result, its blocks on lines of their own."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InputError(f"{where} must be text, or a list of blocks of text")
    texts = []
    for place, block in enumerate(content):
        if not isinstance(block, dict) or block.get("type") != "text" or not isinstance(block.get("text"), str):
            raise InputError(f"{where}.{place} must be a block of text")
        texts.append(block["text"])
    return "\n".join(texts)


def _turns(turn: Turn, where: str) -> list[dict[str, Any]]:
    """A turn as one or more messages of a chat completion: tool results are messages of their own."""
    if isinstance(turn.content, str):
        return [{"role": turn.role, "content": turn.content}]
    results, parts, calls = [], [], []
    for place, block in enumerate(turn.content):
        at, kind = f"{where}.{place}", block.get("type")
        if kind == "text" and isinstance(block.get("text"), str):
            parts.append({"type": "text", "text": block["text"]})
        elif kind == "image":
            parts.append(_image(block, at))
        elif kind == "tool_use":
            function = {"name": str(block.get("name", "")), "arguments": json.dumps(block.get("input", {}))}
            calls.append({"id": str(block.get("id", "")), "type": "function", "function": function})
        elif kind == "tool_result":
            content = block.get("content")
            text = "" if content is None else _text(content, f"{at}.content")
            results.append({"role": "tool", "tool_call_id": str(block.get("tool_use_id", "")), "content": text})
        else:
            raise InputError(f"{at} is of type {str(kind)[:40]!r}, which is not supported")
    plain = all(part["type"] == "text" for part in parts)
    content = "".join(part["text"] for part in parts) if plain else parts
    message = [{"role": turn.role, "content": content or None} | ({"tool_calls": calls} if calls else {})]
    return [*results, *(message if parts or calls else [])]


def _image(block: dict[str, Any], where: str) -> dict[str, Any]:
    source = block.get("source")
    if not isinstance(source, dict):
        raise InputError(f"{where}.source is missing")
    url = source.get("url") or f"data:{source.get('media_type')};base64,{source.get('data')}"
    return {"type": "image_url", "image_url": {"url": str(url)}}


def _tool(tool: dict[str, Any], where: str) -> dict[str, Any]:
    if not isinstance(tool.get("name"), str) or not isinstance(tool.get("input_schema"), dict):
        raise InputError(f"{where} must be a tool with name and input_schema; others are not supported")
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    return {"type": "function", "function": function | {k: tool[k] for k in ("description",) if k in tool}}


def _tool_choice(choice: dict[str, Any]) -> dict[str, Any]:
    kind = choice.get("type")
    names = {"auto": "auto", "any": "required", "none": "none"}
    if kind == "tool":
        value: Any = {"type": "function", "function": {"name": choice.get("name")}}
    elif isinstance(kind, str) and kind in names:
        value = names[kind]
    else:
        raise InputError(f"tool_choice.type is {str(kind)[:40]!r}, but must be auto, any, tool or none")
    parallel = {"parallel_tool_calls": False} if choice.get("disable_parallel_tool_use") else {}
    return {"tool_choice": value, **parallel}


def _tool_use(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function", {})
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except ValueError:
        arguments = {"arguments": function.get("arguments")}
    return {"type": "tool_use", "id": call.get("id", ""), "name": function.get("name", ""), "input": arguments}
