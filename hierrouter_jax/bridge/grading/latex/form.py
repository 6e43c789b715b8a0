r"""The form of an answer: a number, a tuple, a set, an interval, a list, a matrix, a relation, words, an expression.

math-verify compares values and lets forms pass: it calls (1,2) and {1,2}, (3, \pi/2) and [3, \pi/2], 11_2 and 11_3
equal. So delimiters and subscripts are read here, and only the expressions between them are left to it.
"""

import itertools
import re
from dataclasses import dataclass

from hierrouter_jax.bridge.grading.latex.clean import clean, measured
from hierrouter_jax.bridge.grading.latex.numbers import Number, read_number
from hierrouter_jax.bridge.grading.latex.relations import TOKEN, UNKNOWN, Bounds, bounds, joined_bounds, sides

MAX_PARTS = 200
MAX_DEPTH = 8


@dataclass(frozen=True)
class Words:
    r"""Text such as \text{east}; `text` is in lower case, `letter` the option that it names, or empty."""

    text: str
    letter: str = ""


@dataclass(frozen=True)
class Based:
    """A numeral with its base: 204_5."""

    digits: str
    base: int


@dataclass(frozen=True)
class Group:
    """Parts between delimiters: a tuple or open interval, a closed or half-open interval, a set."""

    opening: str
    closing: str
    parts: tuple["Form", ...]


@dataclass(frozen=True)
class Many:
    """Several answers in no order, without delimiters: 3, 5, 7."""

    parts: tuple["Form", ...]


@dataclass(frozen=True)
class Union:
    r"""Sets joined by \cup, in no order."""

    parts: tuple["Form", ...]


@dataclass(frozen=True)
class Matrix:
    """Rows of entries."""

    rows: tuple[tuple["Form", ...], ...]


@dataclass(frozen=True)
class Assigned:
    """A value with the name it is given: x = 5."""

    name: str
    value: "Form"


@dataclass(frozen=True)
class Expression:
    """Anything else, in cleaned LaTeX."""

    latex: str


@dataclass(frozen=True)
class Quantity:
    """A value with a unit."""

    value: "Form"
    unit: str
    known: bool


Form = Words | Based | Group | Many | Union | Matrix | Assigned | Expression | Quantity | Number

_OPEN = {"(": "(", "[": "[", r"\{": "{", r"\langle": "("}
_CLOSE = {")": ")", "]": "]", r"\}": "}", r"\rangle": ")"}
_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}\.?")
_LETTER = re.compile(r"\(?\s*([A-Za-z])\s*\)\s*(?:.*)|([A-Z])\s*[.:]?", re.DOTALL)
_OPTION = re.compile(r"(?:\\text\s*\{)?\s*\(([A-Z])\)\s*\}?(?:\s+[\w$\\].*)?", re.DOTALL)
_MATRIX = re.compile(r"\\begin\{([pb]?matrix|array)\}(?:\{[lcr| ]*\})?(.*)\\end\{\1\}", re.DOTALL)
_BASED = re.compile(r"([0-9A-F]+)\s*_\s*(?:\{\s*)?(?:\\text\s*\{\s*)?(\w+)\s*\}?\s*\}?")
_MEMBER = re.compile(r"([a-zA-Z])\s*\\in(?![a-zA-Z])(.+)", re.DOTALL)
_INFINITY, _MINUS_INFINITY = Expression(r"\infty"), Expression(r"-\infty")
_REALS = re.compile(
    r"\\mathbb\s*\{?\s*R\s*\}?|\\(?:reals|Reals|R)(?![a-zA-Z])|\\text\s*\{\s*all reals?(?: numbers?)?\s*\}",
    re.IGNORECASE,
)
_WITHOUT = re.compile(r"(.+?)\s*(?:\\setminus|\\backslash|\\smallsetminus)(?![a-zA-Z])\s*\\\{(.+)\\\}")
_EMPTY = re.compile(r"\\(?:emptyset|varnothing)(?![a-zA-Z])|\\\{\s*\\\}")
_NOTHING = re.compile(
    r"(?:the )?empty set|(?:there (?:is|are) )?no (?:real )?solutions?(?: exists?)?|no such \w+", re.IGNORECASE
)
# Brackets that face away from what they enclose: ]0,1[ is (0,1).
_FACING = re.compile(r"([\[\]])([^\[\]]*?[,;][^\[\]]*)([\[\]])")
_PLUS_MINUS = re.compile(r"\\(?:pm|mp)(?![a-zA-Z])")
_BASES = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def read_form(text: str, depth: int = 0) -> Form:
    """The form of an answer, as it was extracted."""
    if (joined := joined_bounds(clean(text, answer=False))) is not None:
        return _combined(*joined, depth)
    return _read(clean(text), depth)


def _read(text: str, depth: int) -> Form:
    if depth > MAX_DEPTH or len(_parts(text, ",")) > MAX_PARTS:
        return Expression(text)
    if (words := _words(text)) is not None:
        return words
    split = measured(text)
    if split.text != text:
        value = _unquantified(split.text, depth)
        return Quantity(value, split.unit, split.known) if split.unit else value
    return _unquantified(text, depth)


def _unquantified(text: str, depth: int) -> Form:
    text = _FACING.sub(_faced, text.replace("$", "").strip())
    if _EMPTY.fullmatch(text):
        return Group("{", "}", ())
    if _REALS.fullmatch(text):
        return Group("(", ")", (_MINUS_INFINITY, _INFINITY))
    if (match := _WITHOUT.fullmatch(text)) and (form := _without(match[1], match[2], depth)):
        return form
    if number := read_number(text):
        return number
    if match := _BASED.fullmatch(text):
        base = _BASES.index(match[2]) + 2 if match[2] in _BASES else int(match[2]) if match[2].isdecimal() else 0
        if base:
            return Based(match[1].lstrip("0") or "0", base)
    if match := _MATRIX.fullmatch(text):
        rows = [row for row in re.split(r"\\\\", match[2].replace("\\hline", "")) if row.strip()]
        return Matrix(tuple(tuple(_read(cell.strip(), depth + 1) for cell in row.split("&")) for row in rows))
    if len(pieces := _parts(text, r"\cup")) > 1:
        return Union(tuple(_read(piece, depth + 1) for piece in pieces))
    if group := _group(text, depth):
        return group
    if len(pieces := _parts(text, ",")) > 1:
        return Many(tuple(_spread([_read(piece, depth + 1) for piece in pieces])))
    if len(pieces := _parts(text, ";")) > 1:
        return Many(tuple(_spread([_read(piece, depth + 1) for piece in pieces])))
    return _relation(text, depth) or _plus_minus(text, depth) or Expression(text)


def _words(text: str) -> Words | Group | None:
    if match := _OPTION.fullmatch(text):
        return Words(match[1].lower(), match[1])
    match = _TEXT.fullmatch(text)
    plain = match[1] if match else text
    if _NOTHING.fullmatch(plain.strip()):
        return Group("{", "}", ())
    if re.fullmatch(r"all real numbers?|all reals", plain.strip(), re.IGNORECASE):
        return Group("(", ")", (_MINUS_INFINITY, _INFINITY))
    if match or re.fullmatch(r"[A-Za-z][a-z]+(?:[ '-][A-Za-z]+)*", plain) or re.fullmatch(r"\([A-Z]\)", plain):
        letter = _LETTER.fullmatch(plain.strip())
        return Words(
            " ".join(re.findall(r"[a-z0-9']+", plain.lower())),
            (letter[1] or letter[2]).upper() if letter else "",
        )
    return None


def _group(text: str, depth: int) -> Form | None:
    """What one pair of delimiters encloses; a single value in parentheses or brackets is that value."""
    tokens = TOKEN.findall(text)
    if len(tokens) < 3 or tokens[0] not in _OPEN or tokens[-1] not in _CLOSE:
        return None
    level = 0
    for place, token in enumerate(tokens):
        level += (token in _OPEN) - (token in _CLOSE)
        if level == 0 and place < len(tokens) - 1:
            return None
    opening, closing = _OPEN[tokens[0]], _CLOSE[tokens[-1]]
    inside = "".join(tokens[1:-1]).strip()
    pieces = _parts(inside, ",", grouped=True)
    pieces = _parts(inside, ";") if len(pieces) == 1 else pieces
    if len(pieces) == 1 and opening != "{":
        return _read(inside, depth + 1) if (opening, closing) in (("(", ")"), ("[", "]")) else None
    parts = [_read(piece, depth + 1) for piece in pieces] if inside else []
    return Group(opening, closing, tuple(_spread(parts) if opening == "{" else parts))


def _relation(text: str, depth: int) -> Form | None:
    r"""x = 5 and 5 = x, x \in S (which is S) and a < x \le b (which is an interval)."""
    if match := _MEMBER.fullmatch(text):
        return _read(match[2].strip(), depth + 1)
    if limits := bounds(text):
        return _interval(limits, depth)
    pieces, signs = sides(text)
    if not signs or not all(pieces):
        return None
    for name, value in ((pieces[0], pieces[-1]), (pieces[-1], pieces[-2])):
        if UNKNOWN.fullmatch(name):
            return Assigned(re.sub(r"[{}\s]", "", name), _read(value, depth + 1))
    return None


def _interval(limits: Bounds, depth: int) -> Group:
    low = _read(limits.low, depth + 1) if limits.low else _MINUS_INFINITY
    high = _read(limits.high, depth + 1) if limits.high else _INFINITY
    return Group(limits.opening, limits.closing, (low, high))


def _combined(word: str, limits: list[Bounds], depth: int) -> Form:
    """One interval where inequalities hold together, a union where one of them does; a comma may mean either."""
    lows, highs = [one for one in limits if one.low], [one for one in limits if one.high]
    parts = tuple(_interval(one, depth) for one in limits)
    if word == "or" or len(limits) != 2 or len(lows) != 1 or len(highs) != 1 or lows == highs:
        return Union(parts)
    both = _interval(Bounds(lows[0].low, highs[0].high, lows[0].opening, highs[0].closing), depth)
    low, high = both.parts
    apart = isinstance(low, Number) and isinstance(high, Number) and low.value > high.value
    return Union(parts) if word == "," and apart else both


def _without(base: str, points: str, depth: int) -> Form | None:
    """The reals without some numbers, as the intervals between them."""
    numbers = [read_number(point) for point in _parts(points, ",")]
    if not _REALS.fullmatch(base.strip()) or not all(numbers):
        return None
    inner = sorted((number for number in numbers if number), key=lambda number: number.value)
    ends: list[Form] = [_MINUS_INFINITY, *inner, _INFINITY]
    return Union(tuple(Group("(", ")", pair) for pair in itertools.pairwise(ends)))


def _faced(match: re.Match[str]) -> str:
    opening = "(" if match[1] == "]" else "["
    closing = ")" if match[3] == "[" else "]"
    return f"{opening}{match[2]}{closing}"


def _plus_minus(text: str, depth: int) -> Form | None:
    if len(_PLUS_MINUS.findall(text)) != 1:
        return None
    both = [_PLUS_MINUS.sub(sign, text) for sign in "+-"]
    return Many(tuple(_read(one.lstrip("+ "), depth + 1) for one in both))


def _spread(parts: list[Form]) -> list[Form]:
    """Parts with \\pm among them written out."""
    return [inner for part in parts for inner in (part.parts if isinstance(part, Many) else (part,))]


def _parts(text: str, separator: str, grouped: bool = False) -> list[str]:
    """`text` at its outermost separators.

    A comma that parts three digits from digits is none; between delimiters, (12,102) is two parts, unless other
    commas have spaces behind them.
    """
    thousands = not grouped or bool(re.search(r",\s", text))
    pieces, level, start, place = [], 0, 0, 0
    for token in TOKEN.findall(text):
        if token in _OPEN or token == "{":
            level += 1
        elif token in _CLOSE or token == "}":
            level -= 1
        elif token in (r"\begin", r"\end"):
            level += 1 if token == r"\begin" else -1
        elif token == separator and level == 0 and not (token == "," and thousands and _is_thousands(text, place)):
            pieces.append(text[start:place].strip())
            start = place + len(token)
        place += len(token)
    return [*pieces, text[start:].strip()]


def _is_thousands(text: str, comma: int) -> bool:
    before = re.search(r"(?<![\d,.])\d{1,3}(?:,\d{3})*$", text[max(comma - 40, 0) : comma])
    return bool(before and re.match(r",\d{3}(?!\d)", text[comma:]))
