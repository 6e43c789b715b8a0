"""The pieces of a chat response that may be code: fenced blocks, whatever became of their fences, and text outside."""

import doctest
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice

from hierrouter_jax.bridge.grading.source import goes_on, longest, syntax_tree

_FENCE = re.compile(r"`{3,}|^[ \t]*~{3,}", re.MULTILINE)
_PYTHON = {"", "python", "python3", "py", "py3"}
_LANGUAGE = re.compile(r"[ \t]*\{?\.?([\w+#-]*)\}?[ \t:]*")
_STARTS = re.compile(r"^(?:(?:def|class|import|from|async def)\b|@|[A-Za-z_]\w* *(?::[^=\n]+)?=[^=])", re.MULTILINE)
_MOST_FENCES = 400
_MOST_STARTS = 20
_MOST_ENDS = 8  # fences that may be part of a block: two of them for each example in a docstring

# What ends an answer, or begins the next one: marks of few-shot prompts, special tokens, the next question.
_MARK = re.compile(
    r"^[ \t]*\[/?(?:BEGIN|DONE|END|PYTHON|CODE|ANSWER)\]|\[(?:DONE|END|/\w+)\][ \t]*$"
    r"|^[ \t]*</?(?:code|python|answer|solution|execute|s)>|</(?:code|python|answer|solution|execute|s)>[ \t]*$"
    r"|<\|[\w ]+\|>|<(?:eos|bos|EOT|EOD|end_of_turn|start_of_turn)>"
    r"|^(?:#+[ \t]*|\*\*)?(?:Question|Problem|Task|Exercise|Instruction|Input|User|Human|Q)"
    r"(?:[ \t]*\d+)?(?:\*\*)?[ \t]*[:.]"
    r"|^You are an expert\b",
    re.MULTILINE,
)
_MOST_MARKS = 100


class Place(IntEnum):
    """Where a piece stands, the likeliest place of an answer first."""

    PYTHON = 0  # in a fence that says Python, or nothing
    OTHER = 1  # in a fence that says something else
    OUTSIDE = 2


class End(IntEnum):
    """How a piece ends, the surest first."""

    CLOSED = 0  # with a fence, or where something else begins
    OPEN = 1  # within a definition, with the text, so that more may have been meant
    CUT = 2  # within a definition that goes on with what is no Python
    BODY = 3  # before a `return` or the like: it is part of a function's body


@dataclass(frozen=True)
class Piece:
    """A text that may be code.

    Attributes:
      source: Python code, or the text as it stands where nothing of it is.
      place: kind of place where it stands.
      end: manner in which it ends.
      text: text of the block, or of the stretch between blocks, that it is a part of.
    """

    source: str
    place: Place
    end: End
    text: str


def parts(text: str) -> list[str]:
    """The text between marks of few-shot prompts, special tokens and further questions, in order; then all of it."""
    before, at = [], 0
    for mark in islice(_MARK.finditer(text), _MOST_MARKS):
        before.append(text[at : mark.start()])
        at = mark.end()
    return [part for part in (*before, text[at:]) if part.strip()] + ([text] if before else [])


def pieces(text: str) -> list[Piece]:
    """The pieces of a text, in order.

    A block ends at the first fence with which it is Python, so that it may hold fences itself, in a docstring say; at
    the next fence where there is no such one. Fences that close nothing, or are never closed, only part the text.
    """
    fences = [(match.start(), match.end()) for match in _FENCE.finditer(text)]
    if len(fences) > _MOST_FENCES:
        fences = fences[: _MOST_FENCES // 2] + fences[-_MOST_FENCES // 2 :]
    all_pieces: list[Piece] = []
    starts, ends = [start for start, _ in fences] + [len(text)], [end for _, end in fences]
    all_pieces += _outside(text[: starts[0]], after_fence=False, closed=bool(fences))
    at = 0
    while at < len(fences):
        last = min(at + _MOST_ENDS, len(fences))
        readable = (end for end in range(at + 1, last + 1) if _readable(text[ends[at] : starts[end]]))
        end = next(readable, None)
        if end is None and _opens(text, fences, at + 1):  # this one closes what no fence opened
            all_pieces += _outside(text[ends[at] : starts[at + 1]], after_fence=True, closed=True)
            at += 1
            continue
        end = at + 1 if end is None else end
        all_pieces += _inside(text[ends[at] : starts[end]], closed=end < len(fences))
        if end < len(fences):
            all_pieces += _outside(text[ends[end] : starts[end + 1]], after_fence=True, closed=end + 1 < len(fences))
        at = end + 1
    return all_pieces


def _opens(text: str, fences: list[tuple[int, int]], at: int) -> bool:
    """Whether a fence begins a line and names Python."""
    if at >= len(fences):
        return False
    start, end = fences[at]
    language = _LANGUAGE.match(text, end)
    named = bool(language) and language[1].lower() in _PYTHON - {""}
    return named and not text[:start].rpartition("\n")[2].strip()


def _readings(block: str) -> Iterator[tuple[str, str]]:
    """The language and the code of what stands after a fence, in every way that it may be meant."""
    line, _, body = block.partition("\n")
    match = _LANGUAGE.match(line)
    language = match[1].lower() if match else ""
    if body.strip():
        yield language, body
    if language in _PYTHON and match and line[match.end() :].strip():  # code begins beside the fence
        yield language, f"{line[match.end() :]}\n{body}"
    if line.strip():
        yield "", block.lstrip(" \t")


def _readable(block: str) -> bool:
    return any(syntax_tree(text) for _, code in _readings(block) for text in (code, textwrap.dedent(code)))


def _inside(block: str, closed: bool) -> list[Piece]:
    """The code of a fenced block: all of it where that is Python, else the parts that are."""
    fallback: list[Piece] = []
    for language, code in _readings(block):
        place = Place.PYTHON if language in _PYTHON else Place.OTHER
        for text in (code, textwrap.dedent(code)):
            if syntax_tree(text):
                return [Piece(text, place, _end(text, "", closed), text)]
        if code.lstrip().startswith(">>> "):
            return [Piece(_typed(code), place, End.CLOSED, code)]
        if not fallback:
            fallback = _python_in(textwrap.dedent(code), place, closed) or [Piece(code, place, End.CUT, code)]
    return fallback


def _outside(text: str, after_fence: bool, closed: bool) -> list[Piece]:
    """The parts of a text outside fences that are Python."""
    for code in [code for _, code in _readings(text)] if after_fence else [text]:
        if syntax_tree(code):
            return [Piece(code, Place.OUTSIDE, _end(code, "", closed), code)]
    return _python_in(text, Place.OUTSIDE, closed)


def _python_in(text: str, place: Place, closed: bool) -> list[Piece]:
    """From each line that starts a definition, an import or an assignment, as far as it goes; then from the next."""
    runs, at = [], 0
    for start in islice(_STARTS.finditer(text), _MOST_STARTS):
        if start.start() < at:
            continue
        source, rest = longest(text[start.start() :])
        if source:
            runs.append(Piece(source, place, _end(source, rest, closed), text))
            at = start.start() + len(source)
    return runs


def _end(source: str, rest: str, closed: bool) -> End:
    """How a source ends before the rest of its text."""
    if goes_on(rest):
        return End.CUT if rest.lstrip("\n")[:1].isspace() else End.BODY
    within = source.rstrip().rpartition("\n")[2][:1].isspace()
    return End.OPEN if within and not closed and not rest.strip() else End.CLOSED


def _typed(session: str) -> str:
    """What was typed in an interactive session."""
    try:
        examples = doctest.DocTestParser().get_examples(session)
    except ValueError:
        return session
    return "".join(example.source for example in examples)
