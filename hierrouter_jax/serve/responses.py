"""OpenAI's responses, without any state: their fields, their answers, and their streams."""

import json
import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi.sse import format_sse_event
from pydantic import Field

from hierrouter_jax.bridge.backends.interface import Piece
from hierrouter_jax.errors import InputError
from hierrouter_jax.serve.episode import Episode
from hierrouter_jax.serve.shapes import Conditions, Strict, tokens_of

_STATE = "this server keeps no responses: send the whole conversation as input"


class Request(Strict):
    """A response's request."""

    model: str = "auto"
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    stream: bool | None = False
    stream_options: dict[str, Any] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    text: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    include: list[str] | None = None
    truncation: Literal["disabled"] | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    hierrouter: Conditions | None = None

    @property
    def turns(self) -> list[dict[str, Any]]:
        """The conversation as messages of a chat completion."""
        if self.previous_response_id is not None:
            raise InputError(f"previous_response_id is given, but {_STATE}")
        if self.store:
            raise InputError(f"store is true, but {_STATE}")
        for name in self.include or ():
            if name != "reasoning.encrypted_content":  # there is no reasoning, so nothing of it is left out
                raise InputError(f"include holds {name[:60]!r}, which is not supported")
        for field, known in (("text", ("format",)), ("reasoning", ("effort", "summary", "generate_summary"))):
            if unknown := [name for name in getattr(self, field) or {} if name not in known]:
                raise InputError(f"{field}.{unknown[0][:60]} is not supported; {field} may hold {', '.join(known)}")
        system = [{"role": "system", "content": self.instructions}] if self.instructions else []
        if isinstance(self.input, str):
            return [*system, {"role": "user", "content": self.input}]
        return [*system, *_joined([_turn(item, f"input.{place}") for place, item in enumerate(self.input)])]

    @property
    def options(self) -> dict[str, Any]:
        """What every hop's generation is told, in the fields of a chat completion."""
        names = ("temperature", "top_p", "parallel_tool_calls")
        fields = {name: getattr(self, name) for name in names} | {"max_tokens": self.max_output_tokens}
        if self.tools:
            fields["tools"] = [_tool(tool, f"tools.{place}") for place, tool in enumerate(self.tools)]
        choice = self.tool_choice
        if isinstance(choice, dict):
            if choice.get("type") != "function":
                raise InputError(f"tool_choice.type is {str(choice.get('type'))[:40]!r}, but must be function")
            choice = {"type": "function", "function": {"name": choice.get("name")}}
        fields |= {"tool_choice": choice} if self.tools else {}
        fields |= {"response_format": _format(self.text), "reasoning_effort": (self.reasoning or {}).get("effort")}
        return {name: value for name, value in fields.items() if value is not None}


def answer(request: Request, episode: Episode, extension: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request, whole."""
    return {**_whole(request, episode, _items(episode)), "hierrouter": extension}


class Stream:
    """An answer as server-sent events.

    Args:
      request: request that is answered.
      episode: the request under way.
    """

    def __init__(self, request: Request, episode: Episode) -> None:
        self._request, self._episode, self._number, self._texts = request, episode, 0, list[str]()

    def begin(self) -> Iterator[bytes]:
        response = _whole(self._request, self._episode, [], "in_progress")
        yield self._event("response.created", response=response)
        yield self._event("response.in_progress", response=response)

    def piece(self, piece: Piece) -> Iterator[bytes]:
        if not piece.text:
            return
        if not self._texts:
            item = _message(self._episode, "", "in_progress") | {"content": []}
            yield self._event("response.output_item.added", output_index=0, item=item)
            yield self._event("response.content_part.added", **self._place, part=_part(""))
        self._texts.append(piece.text)
        yield self._event("response.output_text.delta", **self._place, delta=piece.text, logprobs=[])

    def end(self, extension: dict[str, Any]) -> Iterator[bytes]:
        items = _items(self._episode)
        if self._texts:
            text = "".join(self._texts)
            yield self._event("response.output_text.done", **self._place, text=text, logprobs=[])
            yield self._event("response.content_part.done", **self._place, part=_part(text))
            yield self._event("response.output_item.done", output_index=0, item=items[0])
        for index, item in enumerate(items):
            if item["type"] == "function_call":
                at = {"output_index": index, "item_id": item["id"]}
                start = {**item, "arguments": "", "status": "in_progress"}
                yield self._event("response.output_item.added", output_index=index, item=start)
                yield self._event("response.function_call_arguments.delta", **at, delta=item["arguments"])
                done = {"arguments": item["arguments"], "name": item["name"]}
                yield self._event("response.function_call_arguments.done", **at, **done)
                yield self._event("response.output_item.done", output_index=index, item=item)
        response = {**_whole(self._request, self._episode, items), "hierrouter": extension}
        yield self._event(f"response.{response['status']}", response=response)

    def error(self, status: int, message: str, kind: str) -> Iterator[bytes]:
        failed = _whole(self._request, self._episode, [], "failed")
        yield self._event("response.failed", response=failed | {"error": {"code": "server_error", "message": message}})

    @property
    def _place(self) -> dict[str, Any]:
        return {"output_index": 0, "content_index": 0, "item_id": f"msg_{self._episode.ask.id}"}

    def _event(self, name: str, **values: Any) -> bytes:
        body = {"type": name, "sequence_number": self._number, **values}
        self._number += 1
        return format_sse_event(event=name, data_str=json.dumps(body))


def _whole(request: Request, episode: Episode, items: list[dict[str, Any]], status: str = "") -> dict[str, Any]:
    cut = bool(episode.hops) and episode.hops[-1].finish_reason in ("length", "content_filter") and not status
    why = "max_output_tokens" if cut and episode.hops[-1].finish_reason == "length" else "content_filter"
    read, written = tokens_of(episode)
    none = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    usage = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written, **none}
    return {
        "id": f"resp_{episode.ask.id}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status or ("incomplete" if cut else "completed"),
        "error": None,
        "incomplete_details": {"reason": why} if cut else None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "model": request.model,
        "output": items,
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": None,
        "store": False,
        "temperature": request.temperature,
        "text": request.text or {"format": {"type": "text"}},
        "tool_choice": request.tool_choice or "auto",
        "tools": request.tools or [],
        "top_p": request.top_p,
        "truncation": "disabled",
        "metadata": request.metadata or {},
        "usage": None if status else usage,
    }


def _items(episode: Episode) -> list[dict[str, Any]]:
    spoken = [_message(episode, episode.answer, "completed")] if episode.answer or not episode.calls else []
    return [*spoken, *(_call_item(call) for call in episode.calls)]


def _message(episode: Episode, text: str, status: str) -> dict[str, Any]:
    who = {"id": f"msg_{episode.ask.id}", "type": "message", "role": "assistant"}
    return {**who, "status": status, "content": [_part(text)]}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _call_item(call: dict[str, Any]) -> dict[str, Any]:
    function, name = call.get("function", {}), call.get("id", "")
    values = {"name": function.get("name", ""), "arguments": function.get("arguments", "")}
    return {"type": "function_call", "id": f"fc_{name}", "call_id": name, "status": "completed", **values}


def _turn(item: dict[str, Any], where: str) -> dict[str, Any]:
    """An item of the input as a message of a chat completion."""
    kind = item.get("type", "message")
    if kind == "function_call":
        function = {"name": str(item.get("name", "")), "arguments": str(item.get("arguments", ""))}
        call = {"id": str(item.get("call_id", "")), "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    if kind == "function_call_output":
        output = item.get("output")
        text = output if isinstance(output, str) else json.dumps(output)
        return {"role": "tool", "tool_call_id": str(item.get("call_id", "")), "content": text}
    if kind != "message" or item.get("role") not in ("system", "developer", "user", "assistant"):
        raise InputError(
            f"{where} is of type {str(kind)[:40]!r} and role {str(item.get('role'))[:40]!r}; not supported"
        )
    content = item.get("content")
    if isinstance(content, str):
        return {"role": item["role"], "content": content}
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise InputError(f"{where}.content must be text, or a list of parts")
    parts = [_part_of(part, f"{where}.content.{place}") for place, part in enumerate(content)]
    if all(part["type"] == "text" for part in parts):
        return {"role": item["role"], "content": "".join(part["text"] for part in parts)}
    return {"role": item["role"], "content": parts}


def _part_of(part: dict[str, Any], where: str) -> dict[str, Any]:
    if part.get("type") in ("input_text", "output_text", "text") and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    if part.get("type") == "input_image" and isinstance(part.get("image_url"), str):
        return {"type": "image_url", "image_url": {"url": part["image_url"]}}
    raise InputError(f"{where} is of type {str(part.get('type'))[:40]!r}, which is not supported")


def _joined(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tool calls that follow each other are one turn."""
    joined: list[dict[str, Any]] = []
    for turn in turns:
        if turn.get("tool_calls") and joined and joined[-1]["role"] == "assistant":
            before = joined.pop()
            turn = {**before, "tool_calls": [*before.get("tool_calls", []), *turn["tool_calls"]]}
        joined.append(turn)
    return joined


def _tool(tool: dict[str, Any], where: str) -> dict[str, Any]:
    if tool.get("type") != "function" or not isinstance(tool.get("name"), str):
        raise InputError(f"{where} is of type {str(tool.get('type'))[:40]!r}, but must be function, with a name")
    names = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {name: tool[name] for name in names if tool.get(name) is not None}}


def _format(text: dict[str, Any] | None) -> dict[str, Any] | None:
    """`text.format` as a response format of a chat completion."""
    form = (text or {}).get("format") or {}
    if not isinstance(form, dict) or form.get("type") in (None, "text"):
        return None
    if form["type"] == "json_schema":
        return {"type": "json_schema", "json_schema": {k: v for k, v in form.items() if k != "type"}}
    return form
