r"""Equations and inequalities as they are written: their sides, which of them is the unknown, the bounds they give."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|.", re.DOTALL)
_OPENS, _CLOSES = {"{", "(", "[", r"\{", r"\begin"}, {"}", ")", "]", r"\}", r"\end"}
_ORDERS = {"<": "<", ">": ">", r"\le": r"\le", r"\ge": r"\ge"}
REVERSED = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}
_LETTER = r"(?:[a-zA-Z]|\\(?:alpha|beta|gamma|delta|epsilon|theta|lambda|mu|rho|sigma|phi|omega)(?![a-zA-Z]))"
_INDEX = r"(?:_(?:\{[^{}]*\}|\w)|')*"
_NAME = rf"{_LETTER}{_INDEX}"
# What may be the unknown whose value an equation gives: x, x_1, f(2), f^{-1}(x), P(A); AB, [ABC], \angle ABC; \vec{a};
# \sin A; \text{Area}.
UNKNOWN = re.compile(
    "|".join(
        [
            rf"(?:{_NAME}|\([a-z]\s*\\circ\s*[a-z]\))(?:\s*\^\s*\{{?-1\}}?)?\s*(?:\((?:[^()=]|\([^()]*\))*\))?",
            r"[A-Z]{2,4}|\[[A-Z]{3,6}\]|\|[A-Z]{2}\||(?:m\s*)?\\angle\s*\{?[A-Z]{1,3}\}?|\\triangle\s*[A-Z]{3}",
            r"\\(?:overline|overrightarrow|overleftrightarrow|hat|vec|bar|mathbf)\s*\{?[a-zA-Z]{1,4}\}?",
            r"\\(?:sin|cos|tan|cot|sec|csc)\s*(?:\\angle\s*)?\{?\(?(?:[A-Z]{1,3}|\\[a-z]+)\)?\}?",
            rf"\\text\s*\{{[^{{}}]*\}}\s*(?:\(?{_NAME}\)?|\$?[A-Z]{{2,4}})?|(?:[A-Z][a-z]+|[a-z]{{4,}})(?:\s+[a-zA-Z]+)*",
        ]
    )
)
VARIABLE = re.compile(_NAME)
_AND = re.compile(r"\s*(?:\\text\s*\{\s*,?\s*and\s*\}|\\land(?![a-zA-Z])|\\wedge(?![a-zA-Z])|,?\s+and\s+)\s*")
_OR = re.compile(r"\s*(?:\\text\s*\{\s*,?\s*or\s*\}|\\lor(?![a-zA-Z])|\\vee(?![a-zA-Z])|,?\s+or\s+)\s*")
_COMMAS = re.compile(r"\s*[,;]\s*")


@dataclass(frozen=True)
class Bounds:
    r"""What a chain of inequalities says of one variable: its bounds, empty where there is none.

    Attributes:
      low: the lower bound in LaTeX.
      high: the upper bound in LaTeX.
      opening: bracket of the lower bound: "[" where it is included, else "(".
      closing: bracket of the upper bound: "]" where it is included, else ")".
    """

    low: str
    high: str
    opening: str = "("
    closing: str = ")"


def sides(text: str, signs: Sequence[str] = ("=",)) -> tuple[list[str], list[str]]:
    """`text` at its outermost signs of relation: the sides, and the signs between them."""
    pieces, between, level, start, place = [], [], 0, 0, 0
    for token in TOKEN.findall(text):
        level += (token in _OPENS) - (token in _CLOSES)
        if token in signs and level <= 0:
            pieces.append(text[start:place].strip())
            between.append(token)
            start = place + len(token)
        place += len(token)
    return [*pieces, text[start:].strip()], between


def bounds(text: str) -> Bounds | None:
    r"""The bounds of a variable: x < 3, 3 > x, 0 < x \le 5 and 5 \ge x > 0; None of anything else."""
    parts, orders = sides(text, tuple(_ORDERS))
    if not orders or len(parts) > 3 or not all(parts) or "=" in text:
        return None
    place = next((number for number, part in enumerate(parts) if VARIABLE.fullmatch(part)), None)
    if place is None or (len(parts) == 3 and place != 1):
        return None
    low, high, opening, closing = "", "", "(", ")"
    around = [
        (parts[number], orders[number] if number < place else REVERSED[orders[number - 1]])
        for number in range(len(parts))
        if number != place
    ]
    for value, order in around:  # value, order, variable
        if order in ("<", r"\le") and not low:
            low, opening = value, "[" if order == r"\le" else "("
        elif order in (">", r"\ge") and not high:
            high, closing = value, "]" if order == r"\ge" else ")"
        else:
            return None
    return Bounds(low, high, opening, closing)


def joined_bounds(text: str) -> tuple[str, list[Bounds]] | None:
    """Inequalities joined by "and", "or" or a comma: which of these three, and the bounds that each gives."""
    for word, pattern in (("or", _OR), ("and", _AND), (",", _COMMAS)):
        pieces = [piece for piece in pattern.split(text) if piece.strip()]
        if len(pieces) > 1 and all(read := [bounds(piece) for piece in pieces]):
            return word, [one for one in read if one]
    return None
