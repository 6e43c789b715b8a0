"""What a router sees of the text: the query and every response so far."""

from typing import NamedTuple


class Context(NamedTuple):
    """The growing text c_t of the paper."""

    query: str
    responses: tuple[str, ...] = ()
