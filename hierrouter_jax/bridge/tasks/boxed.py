r"""The answer that a worked solution boxes."""

import re

_COMMAND = re.compile(r"\\(?:boxed|fbox)\s*(?:\{|(?P<bare>[^\s{$.,]+))")


def last_boxed(text: str) -> str | None:
    r"""What the last `\boxed{...}` or `\fbox{...}` of a text holds, braces nested; None where nothing is boxed.

    `\boxed 5`, without braces, holds what follows up to a space or the end of the formula.
    """
    found = None
    for match in _COMMAND.finditer(text):
        found = match["bare"] if match["bare"] is not None else _braced(text, match.end())
    return found


def _braced(text: str, start: int) -> str | None:
    """From behind an opening brace to the one that closes it."""
    depth = 1
    for place in range(start, len(text)):
        if text[place] == "{" and text[place - 1] != "\\":
            depth += 1
        elif text[place] == "}" and text[place - 1] != "\\":
            depth -= 1
            if depth == 0:
                return text[start:place].strip()
    return None
