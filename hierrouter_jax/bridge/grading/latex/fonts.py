r"""Fonts of LaTeX, which change no value: \mathrm{e}, \mathbf{-3} and \text{1,000} are what is in them."""

import re

_FONT = re.compile(
    r"\\(?:text(?:rm|it|bf|sf|tt|normal)?|math(?:rm|it|bf|sf|tt|normal)|mbox|hbox|operatorname\*?|boldsymbol|bm|pmb"
    r"|bf|rm|underline)(?![a-zA-Z])\s*"
)
_BARE = re.compile(r"(?<=\s)[ei](?![a-zA-Z])|\d")  # \mathrm e, \mathbf 3
_FUNCTION = re.compile(r"(?:arc)?(?:sin|cos|tan|cot|sec|csc)h?|ln|log|exp|gcd|lcm|max|min|det")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_MEASURED = re.compile(r"((?:\\?[$£€]\s*)?[-+]?\d[\d.,/]*)\s*([a-zA-Z%\\][^{}=]*)")


def without_fonts(text: str) -> str:
    r"""`text` without fonts around numbers, formulas, e, i and names of functions.

    Words stay text, and so does a single letter, which may be a unit; \text{13 cm} becomes 13 \text{cm}.
    """
    pieces, place = [], 0
    while font := _FONT.search(text, place):
        pieces.append(text[place : font.start()])
        end = _closing(text, font.end())
        if end:
            inside, place = text[font.end() + 1 : end - 1].strip(), end
            pieces.append(_opened(font[0], inside))
        elif bare := _BARE.match(text, font.end()):
            pieces.append(bare[0])
            place = bare.end()
        else:
            pieces.append(font[0])
            place = font.end()
    return "".join([*pieces, text[place:]])


def _opened(font: str, inside: str) -> str:
    if "\\" in inside and _FONT.search(inside):
        inside = without_fonts(inside)
    letters = re.findall(r"[^\W\d_]+", _COMMAND.sub(" ", inside))
    if _FUNCTION.fullmatch(inside):
        return rf"\{inside} "
    formula = all(len(run) == 1 for run in letters) and re.search(r"[=+^<>]", inside)
    if inside in ("e", "i") or formula or (not letters and any(map(str.isdigit, inside))):
        return inside
    if measured := _MEASURED.fullmatch(inside):
        return rf"{measured[1]} \text{{{measured[2]}}}"
    return f"{font.strip()}{{{inside}}}" if inside else font


def _closing(text: str, start: int) -> int:
    """Where the braces that open at `start` end; 0 where none open or close there."""
    depth = 0
    for place in range(start, len(text) if text.startswith("{", start) else start):
        if text[place] in "{}" and text[place - 1] != "\\":
            depth += 1 if text[place] == "{" else -1
            if depth == 0:
                return place + 1
    return 0
