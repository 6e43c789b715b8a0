"""A streamed response of an endpoint: its pieces as they come, and at the end its answer, without log-probabilities."""

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

from openai import APIError

from hierrouter_jax.bridge.backends.interface import Failure, Generation, Piece
from hierrouter_jax.bridge.backends.reply import Unreadable, content_text, read_reply, whole_text

# What reading a stream raises that breaks off or is no completion: the client's types hold whatever the endpoint sent.
BROKEN_OFF = (APIError, OSError, TimeoutError, ValueError, TypeError, AttributeError, RecursionError, Unreadable)


class Assembly:
    """The chunks of one response, put together.

    Args:
      request: fields of the request.
      limit: most tokens that the response may have.
      url: address of the endpoint, for messages.
    """

    def __init__(self, request: dict[str, Any], limit: int, url: str) -> None:
        self._request, self._limit, self._url = request, limit, url
        self._texts: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._reason: str | None = None
        self._usage: Any = None

    def add(self, chunk: Any) -> Piece | None:
        """What a chunk adds for the reader; None where that is nothing.

        Args:
          chunk: chunk of `openai`'s types, of a chat or of a completion.

        Raises:
          Unreadable, TypeError, AttributeError: if it is neither, whatever type it has.
        """
        self._usage = chunk.usage or self._usage
        choice = next(iter(chunk.choices or ()), None)
        if choice is None:
            return None
        self._reason = choice.finish_reason or self._reason
        delta = getattr(choice, "delta", None)
        content = (getattr(choice, "text", None),) if delta is None else (delta.content or None, delta.refusal)
        text = whole_text(content_text(*content))
        calls = [call.model_dump(exclude_none=True) for call in getattr(delta, "tool_calls", None) or ()]
        for call in calls:
            self._add_call(call)
        self._texts.append(text)
        return Piece(text, tuple(calls)) if text or calls else None

    def answer(self, seconds: float) -> Generation | Failure:
        """The whole answer, read as if it had come in one piece, but for log-probabilities, which are not kept.

        Args:
          seconds: time that the response took, from its request to its end.
        """
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self._texts)}
        if self._calls:
            message["tool_calls"] = [self._calls[index] for index in sorted(self._calls)]
        content = {"message": message} if "messages" in self._request else {"text": message["content"]}
        usage = None if self._usage is None else self._usage.model_dump(exclude_none=True)
        body = json.dumps({"choices": [{"finish_reason": self._reason, **content}], "usage": usage}).encode()
        return read_reply(body, self._request, self._limit, seconds, self._url)

    def _add_call(self, part: dict[str, Any]) -> None:
        whole = self._calls.setdefault(part.get("index", len(self._calls)), {"type": "function", "function": {}})
        if part.get("id"):
            whole["id"] = part["id"]
        function = whole["function"]
        for name, text in part.get("function", {}).items():
            function[name] = function.get(name, "") + text if name == "arguments" else text


async def in_time(coming: Awaitable[Any], until: float) -> Any:
    """The result of something that takes time.

    Args:
      coming: awaitable whose result it is.
      until: end of its time, by the clock of the event loop.

    Raises:
      TimeoutError: if it has not come by then.
    """
    try:
        async with asyncio.timeout_at(until):
            return await coming
    except TimeoutError:
        raise TimeoutError("its time is up; see timeout") from None
