"""Text as it was written: decoding, cutting into lines, and the one rule by which a list of messages is a text."""

import ast
import codecs
import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from hierrouter_jax.errors import InputError

_SURROGATE = re.compile("[\ud800-\udfff]")
_ROLES = ("role", "from")
_CONTENTS = ("content", "prompt", "text", "value")  # chat APIs, OpenCompass, parts of a message, ShareGPT
_WIDE = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LONGEST_LITERAL = 10_000_000  # characters: nothing longer is read as a literal


class NotText(ValueError):
    """Why a value is no text, as a phrase that follows the name of its field."""


class WrittenFloat(float):
    """A number of a JSON file that is shown as it was written: 2.50 stays 2.50, and 1e3 stays 1e3."""

    def __new__(cls, written: str) -> "WrittenFloat":
        number = super().__new__(cls, written)
        number.written = written
        return number

    written: str

    def __str__(self) -> str:
        return self.written


def decoded(data: bytes, where: Any) -> str:
    """UTF-8 bytes as text, without the byte order mark that may stand at their start.

    Args:
      data: whole content of a file or stream.
      where: its name, for the message.

    Raises:
      InputError: if they are not UTF-8, naming the line.
    """
    if data.startswith(_WIDE):
        raise InputError(f"{where}: line 1: is UTF-16 or UTF-32, but must be UTF-8; save it as UTF-8")
    try:
        return data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        content = data.removeprefix(codecs.BOM_UTF8)
        line, byte = content.count(b"\n", 0, error.start) + 1, content[error.start]
        raise InputError(f"{where}: line {line}: byte 0x{byte:02x} is not UTF-8; save it as UTF-8") from None


def lines_of(text: str) -> list[str]:
    r"""The lines of a text, cut at \n and \r\n and nowhere else; an end of line at the very end begins no other."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def json_value(text: str) -> Any:
    r"""The value of a JSON text; a half of a surrogate pair (\ud83d alone) in it becomes U+FFFD.

    No file can hold half a pair. Numbers with a point or an exponent are `WrittenFloat`.

    Raises:
      ValueError: if it is not JSON.
    """
    try:
        value = json.loads(text, parse_float=WrittenFloat)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    return _whole(value) if re.search(r"\\u[dD][89a-fA-F]", text) else value


def as_text(value: Any) -> str:
    """A value as text: text as it is, a number as it was written, a list of messages joined.

    A message is an object with its text under `content`, `prompt`, `text` or `value`; that text may be a list of parts
    of type text. A list of messages, or an object that holds one under `messages`, is the texts of its messages in
    their order, one line break between, without their roles; a message without text adds nothing. A text that is such
    a list, written as JSON or as Python writes it, is read as the list.

    Raises:
      NotText: if it is none of these.
    """
    if isinstance(value, str):
        messages = _literal(value, _is_messages)
        return _SURROGATE.sub("\ufffd", value) if messages is None else "\n".join(_parts(messages))
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise NotText(f"holds the byte 0x{value[error.start]:02x}, which is not UTF-8") from None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple | Mapping):
        return "\n".join(_parts(value))
    return str(value)


def unknown(value: Any) -> bool:
    """Whether a value is not there: none at all, or no number where a number would be."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def unwrapped(value: Any) -> Any:
    """The texts of a list that was written as text, `['C']` for C, one line break between; all else as it is.

    RouterBench writes prompts and responses so.
    """
    texts = _literal(value, _is_texts) if isinstance(value, str) else None
    return value if texts is None else "\n".join(texts)


def gold_text(value: Any) -> str:
    """A gold answer as text: lists and objects as JSON, all else as `as_text` has it."""
    if isinstance(value, list | tuple | Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    return _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else as_text(value)


def _parts(value: Any) -> Iterator[str]:
    """The texts of a message, of a list of messages, or of a list of texts."""
    if value is None:
        return
    if isinstance(value, str):
        yield _SURROGATE.sub("\ufffd", value)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _parts(one)
    elif isinstance(value, Mapping) and "messages" in value:
        yield from _parts(value["messages"])
    elif isinstance(value, Mapping) and any(name in value for name in _CONTENTS):
        yield from _parts(next(value[name] for name in _CONTENTS if name in value))
    elif isinstance(value, Mapping) and isinstance(value.get("type"), str):
        raise NotText(f"holds a part of type {value['type']!r:.40}, but must be text")
    else:
        raise NotText(f"holds {value!r:.40}, but must be text or a list of messages")


def _literal(text: str, right: Any) -> Any:
    """The list that a text is, as JSON or as Python writes it; None where it is none, or not of what is `right`."""
    shown = text.strip()
    if not (shown.startswith("[") and shown.endswith("]")) or len(shown) > _LONGEST_LITERAL:
        return None
    try:
        value = json_value(shown)
    except ValueError:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a backslash in the text
                value = ast.literal_eval(shown)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):  # text in square brackets
            return None
    return value if isinstance(value, list) and value and all(map(right, value)) else None


def _is_messages(value: Any) -> bool:
    named = isinstance(value, dict) and any(name in value for name in _ROLES)
    return named and any(name in value for name in _CONTENTS)


def _is_texts(value: Any) -> bool:
    return isinstance(value, str)


def _whole(value: Any) -> Any:
    """A JSON value without halves of surrogate pairs."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return {_whole(name): _whole(one) for name, one in value.items()} if isinstance(value, dict) else value
