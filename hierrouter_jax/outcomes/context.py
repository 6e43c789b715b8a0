"""What is known when the next model is chosen, and what is said to it."""

from typing import NamedTuple


class Context(NamedTuple):
    """A query and the responses to it so far."""

    query: str
    responses: tuple[str, ...] = ()


class Turn(NamedTuple):
    """One turn of a chat; role is `user` or `assistant`."""

    role: str
    content: str


# What a model reads: a text, which is one user turn in a chat, or the turns of a chat.
Prompt = str | tuple[Turn, ...]
