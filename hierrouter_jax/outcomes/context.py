"""What is known when the next model is chosen, and what is said to it."""

from typing import NamedTuple


class Turn(NamedTuple):
    """One turn of a chat; role is `user` or `assistant`."""

    role: str
    content: str


class Context(NamedTuple):
    """A query and the responses to it so far.

    Attributes:
      query: its text.
      responses: in the order in which they were given.
      models: who gave each of them; empty where nobody asks.
      shots: turns of worked examples before the query, which the router does not read.
      task: that the query is of, as far as somebody says so; only an encoder with a `task` part reads it.
    """

    query: str
    responses: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    shots: tuple[Turn, ...] = ()
    task: str = ""


# What a model reads: a text, which is one user turn in a chat, or the turns of a chat.
Prompt = str | tuple[Turn, ...]
