"""The contents of the tiny pool's problems: expressions, number words and the reader's facts."""

import random
import re
import zlib
from dataclasses import dataclass
from functools import cache

from num2words import num2words

LARGEST_RESULT = 99
LARGEST_SPELLED = 999
EXPRESSION = re.compile(r"\d+(?:[-+*]\d+)+")
NUMBER = re.compile(r"\d+")

# Chosen once: the facts are in the published reader's weights, so changing a number here means retraining it.
FACT_SEED = 20261101
FACT_COUNTS = {"number": 340, "one_step": 250, "two_step": 90}


@dataclass(frozen=True)
class Fact:
    """Something only the reader knows: `key` is asked for, `answer` is a number or an expression."""

    key: str
    answer: str
    kind: str


def reduce_leftmost(expression: str) -> str:
    """Carry out the first operation: `12+7-5` -> `19-5` -> `14`.

    Raises:
      ValueError: if `expression` holds no operation.
    """
    match = re.match(r"(\d+)([-+*])(\d+)", expression)
    if match is None:
        raise ValueError(f"{expression!r} holds no operation to carry out")
    left, right = int(match[1]), int(match[3])
    result = {"+": left + right, "-": left - right, "*": left * right}[match[2]]
    return f"{result}{expression[match.end() :]}"


def evaluate(expression: str) -> int:
    """The value of an expression, leftmost operation first."""
    while EXPRESSION.fullmatch(expression):
        expression = reduce_leftmost(expression)
    return int(expression)


def number_words(number: int) -> str:
    """English words: 347 -> `three hundred and forty-seven`."""
    return num2words(number)


def draw_expression(rng: random.Random, steps: int) -> str:
    """A random expression of `steps` (1 or 2) operations, every value on the way in 0..99.

    Multiplication comes first and only between 2..9, so that leftmost-first agrees with precedence.
    """
    operator = rng.choice("+-*")
    if operator == "*":
        head, value = _draw_product(rng)
    else:
        value = rng.randint(1, LARGEST_RESULT - 1)
        head, value = _extend(rng, str(value), value, operator)
    if steps == 2:
        head, value = _extend(rng, head, value, rng.choice("+-"))
    return head


def is_held_out(expression: str) -> bool:
    """Whether specialists never see this expression in training (one in ten; single products are all seen)."""
    if re.fullmatch(r"\d\*\d", expression):
        return False
    return zlib.crc32(expression.encode()) % 10 == 0


def is_held_out_number(number: int) -> bool:
    """Whether the speller never sees this number in training (one in ten of 100..999)."""
    return number > LARGEST_RESULT and zlib.crc32(str(number).encode()) % 10 == 0


@cache
def facts() -> tuple[Fact, ...]:
    """All facts, always the same: half of them numbers, half expressions; a key says nothing about its answer."""
    rng = random.Random(FACT_SEED)
    keys = [f"{a}{d}{b}" for a in _LETTERS for d in "23456789" for b in _LETTERS]
    kinds = [kind for kind, count in FACT_COUNTS.items() for _ in range(count)]
    chosen = rng.sample(keys, len(kinds))
    return tuple(Fact(key, _draw_answer(rng, kind), kind) for key, kind in zip(chosen, kinds, strict=True))


_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"


def _draw_answer(rng: random.Random, kind: str) -> str:
    if kind == "number":
        return str(rng.randint(0, LARGEST_RESULT))
    return draw_expression(rng, 1 if kind == "one_step" else 2)


def _draw_product(rng: random.Random) -> tuple[str, int]:
    left, right = rng.randint(2, 9), rng.randint(2, 9)
    return f"{left}*{right}", left * right


def _extend(rng: random.Random, head: str, value: int, operator: str) -> tuple[str, int]:
    """Append `operator` and a random operand that keeps the value in 0..99."""
    room = LARGEST_RESULT - value if operator == "+" else value
    if room < 1:  # nothing can be added (or taken) here: go the other way, where there is always room
        operator = "-" if operator == "+" else "+"
        room = LARGEST_RESULT - value if operator == "+" else value
    operand = rng.randint(1, room)
    return f"{head}{operator}{operand}", value + operand if operator == "+" else value - operand
