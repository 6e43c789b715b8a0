"""Fields of a log of others: each is read as what it must be, or its fault is said in one phrase."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.importers.records import missing
from hierrouter_jax.outcomes.importers.scales import Beyond, Scales, number_of
from hierrouter_jax.outcomes.texts import NotText, as_text, json_value

STOP = "STOP"
ROUNDING = 1e-4  # of probabilities that were written with few digits
_SEPARATOR = "|"  # between candidates that are written as a text
_LATEST = 1e11  # seconds since 1970; a larger number is of another unit


class Fault(ValueError):
    """What is wrong with a row, as a phrase that follows its place."""


@contextmanager
def faults_at(where: str) -> Iterator[None]:
    """Turn what is wrong with a row into one sentence with its place.

    Raises:
      InputError: naming the place, the field and what is right.
    """
    try:
        yield
    except (Fault, InputError) as error:
        raise InputError(f"{where}: {error}") from None


def distribution_of(value: Any, candidates: tuple[str, ...], name: str) -> tuple[float, ...]:
    """Probabilities of the candidates, and of `STOP` behind them where it has one; sums that are off by rounding are 1.

    Args:
      value: numbers in the order of the candidates, or by their names; or such a list or object as JSON.
      candidates: names of the K models.
      name: name of the field, for messages.

    Raises:
      Fault: if it is neither, or the numbers are no distribution.
    """
    value = parsed(value)
    if isinstance(value, Mapping):
        other = next((key for key in value if key not in (*candidates, STOP)), None)
        if other is not None:
            raise Fault(f"{name} names {other!r}, but the candidates are {', '.join(candidates)}")
        value = [value.get(key, 0.0) for key in candidates] + ([value[STOP]] if STOP in value else [])
    numbers = numbers_of(value, name)
    if len(numbers) not in (len(candidates), len(candidates) + 1):
        raise Fault(
            f"{name} has {len(numbers)} values, but must have one for each of the {len(candidates)} candidates, and "
            f"one more where {STOP} was possible"
        )
    if not all(0 <= number <= 1 for number in numbers):
        raise Fault(f"{name} holds {next(n for n in numbers if not 0 <= n <= 1):g}, but must hold numbers in [0, 1]")
    total = sum(numbers)
    if abs(total - 1) > ROUNDING:
        raise Fault(f"{name} sum to {total:.6g}, but must to 1")
    return tuple(number / total for number in numbers)


def quality_of(value: Any, scales: Scales, column: str) -> float | None:
    """A quality in [0, 1]; None where the cell is empty.

    Raises:
      Fault, InputError: if it is none.
    """
    if missing(value):
        return None
    try:
        quality = scales.quality(value, column)
    except Beyond as error:
        raise Fault(f"{column} {error}") from None
    if quality is None:
        raise Fault(f"{column} is {value!r:.40}, but must be a number in [0, 1]")
    return quality


def seconds_of(value: Any, name: str) -> float:
    """A time in seconds since 1970 (UTC), from such a number or from a date in ISO 8601; without a zone it is UTC.

    Raises:
      Fault: if it is neither.
    """
    number = plain_number(value)
    try:
        if number is None:
            date = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
            number = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        number = None
    if number is None or not 0 <= number < _LATEST:
        raise Fault(f"{name} is {value!s:.40}, but must be a date in ISO 8601, or seconds since 1970")
    return number


def candidates_of(value: Any) -> tuple[str, ...]:
    """Names of candidates, from a list, such a list as JSON, or a text with `|` between.

    Raises:
      Fault: if it is none of these, or a name is empty, occurs twice or is `STOP`.
    """
    value = parsed(value)
    names = value.split(_SEPARATOR) if isinstance(value, str) else value
    if not isinstance(names, Sequence | np.ndarray):
        raise Fault(
            f"candidates is {value!r:.40}, but must be a list of names, or a text as 'first {_SEPARATOR} second'"
        )
    names = tuple(text_of(name, "candidates").strip() for name in names)
    if not names or not all(names) or len(set(names)) != len(names) or STOP in names:
        raise Fault(f"candidates is {value!r:.40}, but must hold at least one name, each once, and not {STOP}")
    return names


def parsed(value: Any) -> Any:
    """A list or an object that is written as JSON; anything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json_value(value)
        except ValueError:
            return value
    return value


def plain_number(value: Any) -> float | None:
    """A value as a finite number; None where it is none, or a percentage: 0.5% is not .5."""
    number, percent = number_of(value)
    return None if percent else number


def numbers_of(value: Any, name: str) -> list[float]:
    """A list of finite numbers.

    Raises:
      Fault: if it is none.
    """
    if not isinstance(value, Iterable) or isinstance(value, str | Mapping):
        raise Fault(f"{name} is {value!r:.40}, but must be a list of numbers")
    numbers = [plain_number(one) for one in value]
    if None in numbers:
        raise Fault(f"{name} holds {list(value)[numbers.index(None)]!r:.40}, but must hold numbers")
    return [number for number in numbers if number is not None]


def amount_of(value: Any, name: str) -> float:
    """A number of at least 0.

    Raises:
      Fault: if it is none.
    """
    number = None if isinstance(value, bool) else plain_number(value)
    if number is None or number < 0:
        raise Fault(f"{name} is {value!s:.40}, but must be a number of at least 0")
    return number


def whole_of(value: Any, name: str) -> int:
    """A whole number of at least 0.

    Raises:
      Fault: if it is none.
    """
    number = amount_of(value, name)
    if not number.is_integer() or number >= 2**31:
        raise Fault(f"{name} is {value!s:.40}, but must be a whole number")
    return int(number)


def text_of(value: Any, name: str) -> str:
    """A text, as `as_text` reads it.

    Raises:
      Fault: if it is none.
    """
    try:
        return as_text(value)
    except NotText as error:
        raise Fault(f"{name} {error}") from None


def settings_of(value: Any) -> str:
    """Generation settings as JSON; `{}` where there are none.

    Raises:
      Fault: if they are no object.
    """
    value = {} if value is None else parsed(value)
    if not isinstance(value, Mapping):
        raise Fault(f"settings is {value!r:.40}, but must be an object (name: value)")
    return json.dumps(dict(value), sort_keys=True)
