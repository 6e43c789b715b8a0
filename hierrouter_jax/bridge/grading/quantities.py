"""Numbers within prose and formulas, each read whole: sign, digit groups, scale, power, arithmetic; or not at all."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from hierrouter_jax.bridge.grading.number_words import FOREIGN_SCALES, SCALES, word_pattern, words_value

MOST_DIGITS = 200  # of a number
_MOST_POWER = 400

_SPACE = "[ \u00a0\u202f]"
_DIGITS = rf"(?:\d{{1,3}}(?:{_SPACE}\d{{3}})+(?!{_SPACE}?\d)(?!-[a-z])(?:[.,]\d+)?|\d+(?:[.,'’]\d+)*|\.\d+)"
_WRITTEN = re.compile(
    rf"(?P<clock>(?<![\d:])\d{{1,2}}:\d{{2}}(?::\d{{2}})?(?![\d:]))"
    rf"|(?P<whole>\d+)\s*(?:\\frac\{{(?P<top1>\d+)\}}\{{(?P<bottom1>\d+)\}}|(?<=\s)(?P<top2>\d+)/(?P<bottom2>\d+)(?![\d/]))"
    rf"|\\frac\{{\s*(?P<top3>-?\s*{_DIGITS})\s*\}}\{{\s*(?P<bottom3>{_DIGITS})\s*\}}"
    rf"|(?P<top4>\d+)\s*/\s*(?P<bottom4>\d+)(?![\d/]|[.,]\d)"
    rf"|(?P<plain>{_DIGITS})(?P<exponent>[eE][-+]?\d{{1,3}}(?![\w.]))?(?P<ordinal>(?:st|nd|rd|th)\b)?"
)
_VARIABLE = re.compile(r"(?:_\{?|(?<![A-Za-z\\])[A-Za-z]|\^\s*\{?\s*[-+]?)$")  # what makes digits behind it no number
_COEFFICIENT = re.compile(r"[xyznrXYZN](?![\w'’])")  # "5x" is no number
_ROOT = re.compile(r"(?:\\sqrt\s*\{?|√\s*\(?)\s*$")
_CURRENCY = r"(?:\\?[$£€¥]|US\$|Rs\.?)?"
_SIGN = re.compile(rf"(?:(?<![\w)}}%.])-|\b(?:minus|negative|moins|menos)\b|负)\s*{_CURRENCY}\s*$", re.IGNORECASE)
_SCALES = SCALES | {f"{word}s": value for word, value in SCALES.items()} | FOREIGN_SCALES
_LATIN = "|".join(sorted((word for word in _SCALES if word[0] < "\u2e80"), key=len, reverse=True))
_SCALE = re.compile(rf"[\s-]*(?:(?P<word>{_LATIN})\b|(?P<sign>[千万億亿]))", re.IGNORECASE)
_LETTERS = {"k": 10**3, "K": 10**3, "M": 10**6, "mn": 10**6, "B": 10**9, "bn": 10**9}
_LETTER = re.compile(r"(?:[kKMB]|mn|bn)(?![\w'])")
_POWER = re.compile(r"\s*(?:\^|\*\*)\s*(?:\{\s*(-?\d{1,4})\s*\}|\(\s*(-?\d{1,4})\s*\)|(-?\d{1,4}))")
_OPERATOR = re.compile(
    rf"(?P<close>[\s)}}]*)(?P<operator>[-+*/]|\\(?:times|cdot|div)(?![a-z])|[xX]|\b(?:times|plus|minus|over)\b"
    rf"|\b(?:divided|multiplied)\s+by\b)(?P<open>[\s({{]*){_CURRENCY}\s*(?P<sign>-?)\s*",
    re.IGNORECASE,
)
_TIMES = {"*", "x", r"\times", r"\cdot", "times", "multiplied by"}
_ADDED = re.compile(r"\s+(?:and\s+)?")


@dataclass(frozen=True)
class Quantity:
    """A number as a text has it.

    Attributes:
      start: position of the number in the text, without its sign.
      end: position behind the number.
      written: the number as it stands there.
      value: exact value; None where the whole is no number that can be read, as 1.2.3, or a time of day that is no
        full hour.
      places: number of decimal places that are written; 0 for a fraction.
      kind: kind of quantity: number, clock, or computation where it is arithmetic of several numbers.
    """

    start: int
    end: int
    written: str
    value: Fraction | None
    places: int = 0
    kind: str = "number"


def quantities(text: str) -> list[Quantity]:
    """The numbers in digits that a text has, from left to right; what operators join is one of them."""
    return list(_joined(text, list(_scaled(text, list(_plain(text))))))


def word_quantities(text: str) -> list[Quantity]:
    """The numbers in English words that a text has, from left to right."""
    numbers = []
    for match in word_pattern().finditer(text):
        value = words_value(match[0])
        numbers.append(_signed(text, Quantity(match.start(), match.end(), match[0].replace("-", " "), value)))
    return numbers


def _plain(text: str) -> Iterator[Quantity]:
    for match in _WRITTEN.finditer(text):
        if _VARIABLE.search(text, max(match.start() - 6, 0), match.start()):
            continue
        if sum(character.isdigit() for character in match[0]) > MOST_DIGITS:
            yield Quantity(match.start(), match.end(), match[0], None)
        elif match["clock"]:
            hour, _, rest = match["clock"].partition(":")
            value = None if rest.strip("0:") else Fraction(int(hour))
            yield Quantity(match.start(), match.end(), match[0], value, kind="clock")
        else:
            yield _number(text, match)


def _number(text: str, match: re.Match[str]) -> Quantity:
    value, places, end = _value(match), 0, match.end()
    if match["plain"]:
        places = len(match["plain"].rpartition(".")[2]) if "." in match["plain"] else 0
    if power := _POWER.match(text, end):
        value, places, end = _raised(value, int(next(group for group in power.groups() if group))), 0, power.end()
    if _COEFFICIENT.match(text, end):
        value = None
    if _ROOT.search(text, max(match.start() - 10, 0), match.start()):
        value, places = _square_root(value), 0
    return Quantity(match.start(), end, text[match.start() : end], value, places)


def _value(match: re.Match[str]) -> Fraction | None:
    if match["plain"]:
        value = decimal(match["plain"])
        return value if value is None or not match["exponent"] else value * Fraction(10) ** int(match["exponent"][1:])
    for index in "1234":
        if match[f"bottom{index}"]:
            top, bottom = (decimal(match[f"{part}{index}"]) for part in ("top", "bottom"))
            whole = Fraction(int(match["whole"])) if index in "12" else Fraction(0)
            return None if top is None or not bottom else whole + top / bottom
    raise AssertionError("a number is a decimal or a fraction")


def decimal(text: str) -> Fraction | None:
    """The value of one number in digits, whatever groups them; None where that is not clear (1.2.3, 1,2,3).

    A comma before other than three digits, or behind a zero, is a decimal comma; a single point is a decimal point.
    """
    sign, text = (-1, text[1:].strip()) if text.startswith("-") else (1, text.strip())
    for pattern, group, point in _NOTATIONS:
        if pattern.fullmatch(text):
            plain = re.sub(group, "", text) if group else text
            return sign * Fraction(plain.replace(point, ".") if point else plain)
    return None


_NOTATIONS = [
    (re.compile(r"\d+|\d*\.\d+"), "", ""),
    (re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?"), ",", ""),
    (re.compile(rf"[1-9]\d{{0,2}}(?:{_SPACE}\d{{3}})+(?:\.\d+)?"), _SPACE, ""),
    (re.compile(rf"[1-9]\d{{0,2}}(?:{_SPACE}\d{{3}})+,\d+"), _SPACE, ","),
    (re.compile(r"[1-9]\d{0,2}(?:['’]\d{3})+(?:\.\d+)?"), "['’]", ""),
    (re.compile(r"[1-9]\d{0,2}(?:\.\d{3}){2,}|[1-9]\d{0,2}(?:\.\d{3})+,\d+"), r"\.", ","),
    (re.compile(r"\d+,\d+"), "", ","),
]


def _raised(value: Fraction | None, power: int) -> Fraction | None:
    if value is None or abs(power) > _MOST_POWER or (value == 0 and power < 0):
        return None
    return value**power if abs(value.numerator) < 10**6 and value.denominator < 10**6 else None


def _square_root(value: Fraction | None) -> Fraction | None:
    if value is None or value < 0:
        return None
    root = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
    return root if root * root == value else None


def _scaled(text: str, plain: list[Quantity]) -> Iterator[Quantity]:
    """Numbers with the words of scale behind them: 1.5 million, 3 hundred and 20, $5k."""
    rest = list(reversed(plain))
    while rest:
        one = rest.pop()
        if one.value is None or one.kind == "clock" or (scaled := _with_scale(text, one)) is one:
            yield one
            continue
        while rest and (gap := text[scaled.end : rest[-1].start]) and _ADDED.fullmatch(gap):
            more = _with_scale(text, rest[-1])
            if scaled.value is None or more.value is None or more.value >= scaled.value / max(one.value, 1):
                break
            rest.pop()
            scaled = Quantity(one.start, more.end, text[one.start : more.end], scaled.value + more.value)
        yield scaled


def _with_scale(text: str, one: Quantity) -> Quantity:
    value, end = one.value, one.end
    while value is not None and (match := _SCALE.match(text, end)):
        value, end = value * _SCALES[(match["word"] or match["sign"]).lower()], match.end()
    letter = _LETTER.match(text, end) if end == one.end else None
    if value is not None and letter:
        value, end = value * _LETTERS[letter[0]], letter.end()
    return one if end == one.end else Quantity(one.start, end, text[one.start : end], value)


def _joined(text: str, parts: list[Quantity]) -> Iterator[Quantity]:
    """Numbers with their signs, and with what operators join to them."""
    place = 0
    while place < len(parts):
        run, operators = [parts[place]], []
        while place + len(run) < len(parts):
            after = parts[place + len(run)]
            match = _OPERATOR.fullmatch(text, run[-1].end, after.start)
            if not match or "clock" in (after.kind, run[-1].kind):
                break
            run.append(after)
            operators.append(match)
        place += len(run)
        first = _signed(text, run[0])
        yield first if len(run) == 1 else _computed(text, [first, *run[1:]], operators)


def _computed(text: str, run: list[Quantity], operators: list[re.Match[str]]) -> Quantity:
    """The value of a computation without brackets: products before sums."""
    start, end = run[0].start, run[-1].end
    plain = not any(set("(){}") & set(match["close"] + match["open"]) for match in operators)
    sums, value = Fraction(0), run[0].value if plain else None
    for match, one in zip(operators, run[1:], strict=True):
        if value is None or one.value is None:
            value = None
            break
        operator = " ".join(match["operator"].lower().split())
        number = -one.value if match["sign"] else one.value
        if operator in _TIMES:
            value *= number
        elif operator in ("+", "-", "plus", "minus"):
            sums, value = sums + value, number if operator in ("+", "plus") else -number
        else:
            value = value / number if number else None
    return Quantity(start, end, text[start:end], None if value is None else sums + value, kind="computation")


def _signed(text: str, one: Quantity) -> Quantity:
    sign = _SIGN.search(text, max(one.start - 16, 0), one.start)
    if sign is None:
        price = re.search(r"\$\s*$", text[max(one.start - 4, 0) : one.start])
        return replace(one, written=price[0] + one.written) if price else one
    value = None if one.value is None else -one.value
    return replace(one, written=sign[0] + one.written, value=value)
