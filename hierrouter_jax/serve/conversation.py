"""A conversation as the router reads it and as its members are asked; what a client may ask of their generation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hierrouter_jax.bridge.transcript import Hop, so_far
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Context, Prompt, Turn

ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True)
class Conversation:
    """The turns that a client sent.

    Attributes:
      reading: context that the router reads: the texts of all turns but the system's, an empty line between them.
      asking: context that members are asked with: the last user turn is the query, the turns before it are its shots.
      messages: all turns as the client sent them, where some hold more than text (images, tool calls); else None.
    """

    reading: Context
    asking: Context
    messages: tuple[dict[str, Any], ...] | None = None

    def after(self, hops: Sequence[Hop]) -> "Conversation":
        """The same conversation with the responses of these hops."""
        return replace(self, asking=so_far(self.asking, hops)) if hops else self

    def as_messages(self, prompt: Prompt, system: str) -> list[dict[str, Any]]:
        """The turns that an endpoint is asked with, where they hold more than text.

        The last user turn says what the layout makes of it; behind a tool's result, the responses so far follow as a
        user turn of their own.

        Args:
          prompt: prompt of the hop, by the pool's layout.
          system: system prompt of the member.
        """
        assert self.messages is not None
        turns, text = list(self.messages), prompt if isinstance(prompt, str) else prompt[-1].content
        if turns[-1]["role"] == "user":
            content = turns[-1]["content"]
            others = [] if isinstance(content, str) else [part for part in content if part.get("type") != "text"]
            turns[-1] = {**turns[-1], "content": [*others, {"type": "text", "text": text}] if others else text}
        elif self.asking.responses:
            turns.append({"role": "user", "content": text})
        if system and turns[0]["role"] in ("system", "developer"):
            turns[0] = {**turns[0], "content": f"{system}\n\n{text_of(turns[0], 0)}"}
        elif system:
            turns.insert(0, {"role": "system", "content": system})
        return turns


def read_conversation(messages: Sequence[Mapping[str, Any]], task: str = "") -> Conversation:
    """A conversation from the messages of a chat completion.

    Args:
      messages: turns with `role` and `content`, and what else they hold (`tool_calls`, `tool_call_id`, `name`).
      task: task that it is of, for a policy that reads the task.

    Raises:
      InputError: naming the message that is of an unknown role, says nothing, or is last and nobody's question.
    """
    if not messages:
        raise InputError("messages is empty: there is nothing to route")
    texts = [text_of(message, place) for place, message in enumerate(messages)]
    last = messages[-1]
    if last["role"] not in ("user", "tool"):
        raise InputError(
            f"messages.{len(messages) - 1}: the last message is of {last['role']}, but must be of user or tool"
        )
    if not any(text.strip() for message, text in zip(messages, texts, strict=True) if message["role"] == "user"):
        raise InputError("messages hold no text of a user: there is nothing to route")
    spoken = [
        text for message, text in zip(messages, texts, strict=True) if message["role"] not in ("system", "developer")
    ]
    question = max(place for place, message in enumerate(messages) if message["role"] == "user")
    if last["role"] == "user" and not texts[-1].strip():
        raise InputError(f"messages.{len(messages) - 1}.content is empty: there is nothing to route")
    reading = Context("\n\n".join(text for text in spoken if text.strip()), task=task)
    shots = tuple(
        Turn("system" if message["role"] == "developer" else message["role"], text)
        for message, text in zip(messages[:question], texts[:question], strict=True)
    )
    whole = any(_holds_more(message) for message in messages)
    return Conversation(
        reading, Context(texts[question], shots=shots, task=task), tuple(map(dict, messages)) if whole else None
    )


def text_of(message: Mapping[str, Any], place: int) -> str:
    """The text of a message, its parts joined.

    Raises:
      InputError: if it is no object, or of an unknown role, or its content is no text.
    """
    if not isinstance(message, Mapping):
        raise InputError(f"messages.{place} must be an object with role and content")
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        raise InputError(f"messages.{place}.role is {str(role)[:40]!r}, but must be {', '.join(ROLES)}")
    if content is None and role == "assistant" and message.get("tool_calls"):
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple) or not all(isinstance(part, Mapping) for part in content):
        raise InputError(f"messages.{place}.content must be text, or a list of parts")
    texts = [part.get("text", "") for part in content if part.get("type") in ("text", "input_text", "output_text")]
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"messages.{place}.content holds a part of text without text")
    return "".join(texts)


def _holds_more(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    parts = content if isinstance(content, list | tuple) else ()
    return bool(
        message["role"] == "tool" or message.get("tool_calls") or any(part.get("type") != "text" for part in parts)
    )


# What a member's own generation can be told where its weights run here; an endpoint takes every field.
LOCAL = {"max_tokens", "temperature", "top_p", "top_k", "seed", "stop"}


@dataclass(frozen=True)
class Options:
    """What a client asks of every hop's generation.

    Attributes:
      fields: fields of a chat completion by their names, those that were sent alone; `max_tokens` under this name, and
        `stop` as a list.
    """

    fields: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(stop := self.fields.get("stop"), str):
            object.__setattr__(self, "fields", {**self.fields, "stop": [stop]})

    @property
    def key(self) -> tuple[tuple[str, Any], ...]:
        """Equal for options that one batch can share; of fields that a member takes whose weights run here."""
        return tuple(sorted((name, tuple(v) if isinstance(v, list) else v) for name, v in self.fields.items()))

    def limit(self, own: int) -> int:
        """Most tokens of a response by a member whose own limit is `own`."""
        return min(own, self.fields.get("max_tokens", own))
