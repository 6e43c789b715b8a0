r"""One spelling for the many of an answer: spacing, \dfrac, \left, units, currency, percent, degrees."""

import re
from dataclasses import dataclass

from hierrouter_jax.bridge.grading.latex.numbers import without_unicode
from hierrouter_jax.bridge.grading.markup import braces_end
from hierrouter_jax.bridge.grading.number_words import SCALES as SCALE_WORDS

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
        end = braces_end(text, font.end())
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


_MINUS = re.compile(r"^\s*(?:\\text\s*\{\s*(?:minus|negative)\s*\}|(?:minus|negative)\b)\s*(?=[\d\\$.])", re.IGNORECASE)
_SCALE = re.compile(
    r"(?P<number>(?<![\d.^_{])\d[\d.,]*)\s*(?:\\text\s*\{\s*)?(?P<scale>hundred|thousand|million|billion|trillion)s?\b"
    r"(?P<rest>[^{}]*\})?",
    re.IGNORECASE,
)
_REWRITES = [
    (
        re.compile(r"\\(?:text|math)(?:rm|it|bf|sf|tt|normal)\b|\\(?:mbox|mathrm|operatorname|hbox)\b|\\text\b"),
        r"\\text",
    ),
    (re.compile(r"\\m?(?:left|right|middle|[bB]igg?[lrm]?)(?![a-zA-Z])\s*\.?(?=[^a-zA-Z])"), ""),
    (re.compile(r"\\m?(?:left|right)(?=\\)"), ""),
    (re.compile(r"\\[dtc]frac\b"), r"\\frac"),
    (re.compile(r"\\d?sqrt\b"), r"\\sqrt"),
    (re.compile(r"(?<=\d)(?:\{,\}|,\s*\\!)\s*(?=\d{3})"), ""),  # 10{,}080 and 10,\!080
    (re.compile(r"(?<!\\)\\!\s*"), ""),
    (re.compile(r"(?<=\d)(?:\\[,;: ]|~)(?=\d{3}(?!\d))"), ""),  # 10\,080
    (re.compile(r"(?<!\\)\\[,;:> ]|~|\\q?quad\b|\\displaystyle\b|\\textstyle\b|\\limits\b"), " "),
    (re.compile(r"\\lbrace\b"), r"\\{"),
    (re.compile(r"\\rbrace\b"), r"\\}"),
    (re.compile(r"\\lbrack\b"), "["),
    (re.compile(r"\\rbrack\b"), "]"),
    (re.compile(r"\\(?:leq|leqslant|le)(?![a-zA-Z])|<="), r"\\le "),
    (re.compile(r"\\(?:geq|geqslant|ge)(?![a-zA-Z])|>="), r"\\ge "),
    (re.compile(r"\\lt\b"), "<"),
    (re.compile(r"\\gt\b"), ">"),
    (re.compile(r"\\(?:%|text\s*\{\s*\\?%\s*\})"), "%"),
    (re.compile(r"\\(?:\$|text\s*\{\s*\\?\$\s*\})"), "$"),
    (re.compile(r"\^\s*\{?\s*\\circ\s*\}?|\\degree\b"), r" \\text{degrees}"),
    (re.compile(r"(?<![\\a-zA-Z])infinity\b"), r"\\infty"),
    (re.compile(r"(?<![\\a-zA-Z])sqrt\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![\\a-zA-Z])pi(?![a-zA-Z])"), r"\\pi "),
    (re.compile(r"\s+"), " "),
]
_LISTS = [
    (re.compile(r",?\s*\\text\s*\{\s*,?\s*(?:and|or)\s*\}\s*"), ", "),
    (re.compile(r",?\s+(?:and|or)\s+(?=[-\d\\(\[a-z{.$])"), ", "),
]
_FRACTION = re.compile(r"\\frac\s*(?:\{([^{}]*)\}|(\w))\s*(?:\{([^{}]*)\}|(\w))")
_UNIT = re.compile(
    r"\s*(?:\\text\s*\{(?P<text>[^{}]*)\}|(?<![\\{_^a-zA-Z])(?P<words>[a-zA-Z][a-zA-Z. /]*))"
    r"\s*(?:\^\s*\{?\s*(?P<power>\d)\s*\}?)?\s*\.?\s*$"
)

# Names of one unit; the first is the one compared by. Words that are in no row are no units in plain text.
_NAMES = """
degrees degree deg | radians radian rad | percent percentage pct | dollars dollar usd bucks | cents cent | mph
inches inch in | feet foot ft | yards yard yd | miles mile mi | m meters meter metres metre | mm millimeters millimeter
cm centimeters centimeter centimetres centimetre | km kilometers kilometer kilometres kilometre | kg kilograms kilogram
seconds second sec secs | minutes minute min mins | hours hour hr hrs | days day | weeks week | months month
years year yr yrs | grams gram g | pounds pound lb lbs | ounces ounce oz | liters liter litres litre
gallons gallon gal | units unit | people persons person | students student | ways way | points point
"""
_CANONICAL = {
    name: row.split()[0] for line in _NAMES.strip().splitlines() for row in line.split("|") for name in row.split()
}
# A number and one word: 18 eggs. Words that change the number count nothing.
_COUNTED = re.compile(r"-?\d[\d,.]*\s+(?!dozen|half|squared|cubed|factorial|mod|base|plus|minus|times)[a-z]{3,}")
_POWERS = {"square": "2", "sq": "2", "squared": "2", "cubic": "3", "cu": "3", "cubed": "3"}
# How many of the second unit make one of the first.
SCALES = {
    ("dollars", "cents"): 100,
    ("feet", "inches"): 12,
    ("yards", "feet"): 3,
    ("m", "cm"): 100,
    ("km", "m"): 1000,
    ("hours", "minutes"): 60,
    ("minutes", "seconds"): 60,
    ("kg", "grams"): 1000,
}


@dataclass(frozen=True)
class Measured:
    """An answer and its unit.

    Attributes:
      text: the answer without the unit.
      unit: canonical name of the unit with its power, such as `inches^2`; empty where none is given.
      known: whether the unit is one of those listed here, so that two of them may be held against each other.
    """

    text: str
    unit: str = ""
    known: bool = False


def clean(text: str, answer: bool = True) -> str:
    """`text` in one spelling of spaces, fractions, brackets and symbols. Nothing that carries meaning goes.

    Args:
      text: text in LaTeX or plain notation.
      answer: whether the text is an answer and nothing else: then "and" and "or" become commas, "million" a power of
        ten and "minus" a sign.
    """
    text = without_fonts(without_unicode(text)).replace("...", r"\ldots ")
    text = re.sub(r"^\s*(?:\$\$?|\\\(|\\\[)|(?<!\\)(?:\$\$?|\\\)|\\\])\s*\.?\s*$", "", text.replace("**", ""))
    for pattern, replacement in [*_REWRITES, *(_LISTS if answer else [])]:
        text = pattern.sub(replacement, text)
    if answer:
        text = _SCALE.sub(_scaled, _MINUS.sub("-", text))
    text = _FRACTION.sub(lambda m: rf"\frac{{{(m[1] or m[2]).strip()}}}{{{(m[3] or m[4]).strip()}}}", text)
    return _bare(text)


def _scaled(match: re.Match[str]) -> str:
    r"""1.5 \text{ million dollars} as 1.5 \times 10^{6} \text{dollars}."""
    power = len(str(SCALE_WORDS[match["scale"].lower()])) - 1
    rest = (match["rest"] or "").removesuffix("}").strip()
    return rf"{match['number']} \times 10^{{{power}}}" + (rf" \text{{{rest}}}" if rest else "")


def measured(text: str) -> Measured:
    """A cleaned answer split into value and unit. Single letters in plain text are variables, never units."""
    if "$" in text:
        inner = measured(text.replace("$", " "))
        return inner if inner.unit else Measured(inner.text, "dollars", True)
    text = _bare(text)
    if text.endswith("%"):
        return Measured(_bare(text[:-1]), "percent", True)
    match = _UNIT.search(text)
    if not match or not (value := _bare(text[: match.start()])) or value[-1] in "^_=<>+-*/(,":
        return Measured(text)
    words = match["text"] if match["text"] is not None else match["words"]
    names = re.findall(r"[a-z]+", words.lower())
    known = bool(names) and len(words.strip()) > 1 and names[-1] in _CANONICAL | {"of": ""}
    if match["text"] is None and not known and not _COUNTED.fullmatch(text):
        return Measured(text)
    if not names:
        return Measured(value)
    power = match["power"] or next((_POWERS[name] for name in (names[0], names[-1]) if name in _POWERS), "")
    names = [name for name in names if name not in _POWERS]
    unit = " ".join(str(_CANONICAL.get(name, name)) for name in names)
    return Measured(value, f"{unit}^{power}" if power else unit, len(names) == 1 and names[0] in _CANONICAL)


def _bare(text: str) -> str:
    """Without spaces and sentence marks around it."""
    return re.sub(r"(?<=.)[.,;:]+$", "", text.strip()).strip()
