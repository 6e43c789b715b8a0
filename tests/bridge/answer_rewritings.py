"""Other ways to write an answer, and other answers that look like it."""

import re
from collections.abc import Callable
from fractions import Fraction

Rewrite = Callable[[str], str | None]

_FRACTION = re.compile(r"(-?)\\d?frac\{(\d+)\}\{(\d+)\}")


def decimal(gold: str) -> str | None:
    r"""A fraction that ends, as a decimal."""
    match = _FRACTION.fullmatch(gold)
    if not match:
        return None
    value = Fraction(int(match[2]), int(match[3]))
    places = next((n for n in range(13) if (value * 10**n).denominator == 1), None)
    return None if places is None else f"{match[1]}{float(value):.{places}f}"


def slash(gold: str) -> str | None:
    match = _FRACTION.fullmatch(gold)
    return f"{match[1]}{match[2]}/{match[3]}" if match else None


def thousands(comma: str) -> Rewrite:
    return lambda gold: f"{int(gold):,}".replace(",", comma) if re.fullmatch(r"-?\d{4,}", gold) else None


def degrees(sign: str) -> Rewrite:
    return lambda gold: gold.replace(r"^\circ", sign) if r"^\circ" in gold else None


def sized(gold: str) -> str | None:
    r"""\left and \right before every bracket outside of arguments, where they pair."""
    if gold.count("(") != gold.count(")") or "matrix" in gold or r"\left" in gold:
        return None
    sized = re.sub(r"(\\\{|[(\[])", r"\\left\1", gold)
    sized = re.sub(r"(\\\}|[)\]])", r"\\right\1", sized)
    return sized if sized != gold else None


def spaced(gold: str) -> str | None:
    """Spaces around operators and commas; not in numbers with thousands, where they would part them."""
    if "text" in gold or "mbox" in gold or re.search(r"\d,(?:\\!)?\s?\d{3}(?!\d)", gold):
        return None
    return re.sub(r"(?<=[^^_{ ])([-+=,(])", r" \1 ", gold)


def swapped(opening: str, closing: str) -> Rewrite:
    """A pair in other delimiters."""

    def rewrite(gold: str) -> str | None:
        inner = re.fullmatch(r"(?:\\left)?([(\[])(.*,.*?)(?:\\right)?([)\]])", gold)
        if not inner or r"\cup" in gold or (inner[1], inner[3]) == (opening, closing):
            return None
        return f"{opening}{inner[2]}{closing}"

    return rewrite


def reversed_pair(gold: str) -> str | None:
    inner = re.fullmatch(r"\((-?\d+),(-?\d+)\)", gold)
    return f"({inner[2]},{inner[1]})" if inner and inner[1] != inner[2] else None


def last_digit(gold: str) -> str | None:
    r"""The last digit raised by one."""
    place = max((match.start() for match in re.finditer(r"\d", gold)), default=None)
    if place is None:
        return None
    return f"{gold[:place]}{(int(gold[place]) + 1) % 10}{gold[place + 1 :]}"


def negative(gold: str) -> str | None:
    return f"-{gold}" if re.fullmatch(r"[1-9]\d*|\\frac\{\d+\}\{\d+\}|\\pi|\d*\\sqrt\{\d+\}", gold) else None


SAME: dict[str, Rewrite] = {
    "itself": lambda gold: gold,
    "display fraction": lambda gold: gold.replace(r"\frac", r"\dfrac") if r"\frac" in gold else None,
    "text fraction": lambda gold: gold.replace(r"\frac", r"\tfrac") if r"\frac" in gold else None,
    "slash": slash,
    "decimal": decimal,
    "sized": sized,
    "spaced": spaced,
    "thin spaces": lambda gold: re.sub(r"([+=])", r"\\, \1 \\;", gold),
    "full stop": lambda gold: gold + ".",
    "formula": lambda gold: f"${gold}$" if r"\$" not in gold else None,
    "thousands": thousands(","),
    "latex thousands": thousands("{,}"),
    "thin thousands": thousands(r"\,"),
    "old thousands": thousands(r",\!"),
    "unit": lambda gold: rf"{gold}\text{{ units}}" if re.fullmatch(r"-?\d+", gold) else None,
    "named": lambda gold: f"x = {gold}" if re.fullmatch(r"-?\d+|\\frac\{\d+\}\{\d+\}", gold) else None,
    "braced degrees": degrees(r"^{\circ}"),
    "degree sign": degrees("°"),
    "degrees in words": degrees(r"\text{ degrees}"),
    "no degrees": degrees(""),
    "no dollar": lambda gold: gold.replace(r"\$", "") if r"\$" in gold else None,
    "plain text": lambda gold: gold[6:-1] if re.fullmatch(r"\\text\{[^{}]*\}", gold) else None,
    "bold text": lambda gold: gold.replace(r"\text", r"\textbf") if r"\text" in gold else None,
    "bracket matrix": lambda gold: gold.replace("pmatrix", "bmatrix") if "pmatrix" in gold else None,
    "braced base": lambda gold: re.sub(r"_(\d)$", r"_{\1}", gold) if re.search(r"_\d$", gold) else None,
}
OTHER: dict[str, Rewrite] = {
    "last digit": last_digit,
    "negative": negative,
    "reversed pair": reversed_pair,
    "closed": swapped("[", "]"),
    "open": swapped("(", ")"),
    "half open": swapped("[", ")"),
    "set": swapped(r"\{", r"\}"),
}
