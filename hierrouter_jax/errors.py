"""Exceptions for the user: the input is wrong, or a job stopped early; and how to put it right."""

from collections.abc import Iterable
from difflib import get_close_matches

_GAP = " ... "


class InputError(ValueError):
    """Bad input. The message is one sentence naming the file, row and field, and what would be right.

    The command line prints it and exits with code 2; Python users catch it like any ValueError. What a file or an
    endpoint put into the message is shown on its one line: line breaks, NUL and marks of direction are written as
    escapes, and of a long message the middle is left out.
    """

    LONGEST = 2_000  # characters

    def __init__(self, message: str) -> None:
        shown = "".join(one if one.isprintable() else repr(one)[1:-1] for one in message)
        super().__init__(_without_middle(shown, self.LONGEST))


def brief(value: object, most: int = 60) -> str:
    """A value for a message, on one line of at most `most` letters: of a longer one the middle is left out."""
    return _without_middle(" ".join(str(value).split()), most)


def nearest(name: str, known: Iterable[str]) -> str:
    """The way out of a mistyped name: the one that was probably meant, or else all that there are."""
    choices = list(known)
    close = get_close_matches(name, choices, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(choices)}"


def reason_of(error: BaseException) -> str:
    """What a library says of its own failure, on one line of at most 400 letters; else the kind of its error."""
    return brief(error, 400) or type(error).__name__


class Unfinished(Exception):
    """A job stopped in good order before its end. The message says how far it is and what makes it go on.

    The command line prints it and exits with the class's code, which is neither that of success nor of bad input.
    """

    code = 3


def _without_middle(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    head = (most - len(_GAP)) // 2
    return f"{text[:head].rstrip()}{_GAP}{text[len(_GAP) + head - most :].lstrip()}"
