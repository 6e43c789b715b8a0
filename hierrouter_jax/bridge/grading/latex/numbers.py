"""Numbers as they are written: exact rationals, with how many digits a decimal gives."""

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

_SIGNS = {
    "−": "-",
    "–": "-",
    "×": r"\times ",
    "·": r"\cdot ",
    "⋅": r"\cdot ",
    "∙": r"\cdot ",
    "÷": "/",
    "⁄": "/",
    "∕": "/",
    "∞": r"\infty ",
    "∪": r"\cup ",
    "∩": r"\cap ",
    "∈": r"\in ",
    "∖": r"\setminus ",
    "≤": r"\le ",
    "⩽": r"\le ",
    "≥": r"\ge ",
    "⩾": r"\ge ",
    "≠": r"\ne ",
    "≈": r"\approx ",
    "±": r"\pm ",
    "∓": r"\mp ",
    "°": r"^\circ ",
    "∅": r"\emptyset ",
    "⌀": r"\emptyset ",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}",
    "ℕ": r"\mathbb{N}",
    "ℚ": r"\mathbb{Q}",
    "ℂ": r"\mathbb{C}",
    "∧": r"\land ",
    "∨": r"\lor ",
    "…": r"\ldots ",
    "“": "",
    "”": "",
    "’": "'",
    "\u00a0": " ",
    "\u202f": " ",
    "\u2009": " ",
    "\u200b": "",
    # Patterns that ignore case take these for I, i, s and K, and `str.lower` leaves them other letters.
    "İ": "I",
    "ı": "i",
    "ſ": "s",
    "\u212a": "K",
}
_GREEK = ["alpha", "beta", "gamma", "delta", "epsilon", "theta", "lamda", "mu", "pi", "rho", "sigma", "phi", "omega"]
_SIGNS |= {unicodedata.lookup(f"GREEK SMALL LETTER {name}"): rf"\{name.replace('lamda', 'lambda')} " for name in _GREEK}
_ROOTS = {"√": "", "∛": "[3]", "∜": "[4]"}
_ROOT = re.compile(r"([√∛∜])\s*(?:\(([^()]*)\)|\{([^{}]*)\}|(\d+(?:\.\d+)?|[a-zA-Z]|\\[a-z]+))")
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_SCRIPTS = re.compile(f"[{''.join(_RAISED)}]+|[{''.join(_LOWERED)}]+")


def without_unicode(text: str) -> str:
    """`text` with its Unicode signs in LaTeX: √2, ⅔, x¹⁰, a₁, ∅, ℝ, π."""
    if text.isascii():
        return text
    for sign, latex in _SIGNS.items():
        text = text.replace(sign, latex)
    text = _ROOT.sub(lambda root: rf"\sqrt{_ROOTS[root[1]]}{{{root[2] or root[3] or root[4]}}}", text)
    text = _SCRIPTS.sub(_script, text)
    return "".join(_fraction(sign) if unicodedata.category(sign) == "No" else sign for sign in text)


def _script(run: re.Match[str]) -> str:
    kind, names = ("^", _RAISED) if run[0][0] in _RAISED else ("_", _LOWERED)
    inside = "".join(names[sign] for sign in run[0])
    return f"{kind}{inside}" if len(inside) == 1 else f"{kind}{{{inside}}}"


def _fraction(sign: str) -> str:
    r"""½ as \frac{1}{2}; any other sign as it is."""
    kind, *points = unicodedata.decomposition(sign).split() or [""]
    top, slash, bottom = "".join(chr(int(point, 16)) for point in points).partition("\u2044")
    return rf"\frac{{{top}}}{{{bottom}}}" if kind == "<fraction>" and slash and bottom else sign


DIGITS = 6  # significant digits from which a decimal may stand for a number that has no finite decimal
LONGEST = 60  # characters of a decimal, and of each part of a fraction; longer ones are not read
_EXPONENT = 400

_DECIMAL = r"(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)(?:\.\d*)?|\.\d+"
_PLAIN = re.compile(rf"([-+]?)\s*({_DECIMAL})")
_SLASH = re.compile(r"([-+]?)\s*(?:(\d+)\s+)?(-?\d+)\s*/\s*(-?\d+)")
_FRAC = re.compile(r"([-+]?)\s*(?:(\d+)\s*)?\\frac\{\s*(-?[\d,]+)\s*\}\{\s*(-?[\d,]+)\s*\}")
_MOST_PERIOD = 50
# 0.1\overline{6}, 0.\dot{6}, 0.(6); and 0.1666... where the digits show what repeats.
_REPEATING = re.compile(
    r"([-+]?)\s*(\d*)\.(\d*)(?:\\(?:overline|bar|dot)\s*(?:\{\s*(\d+)\s*\}|(\d))|\((\d+)\)|\\dot\{?(\d)\}?(\d*)\\dot\{?(\d)\}?)"
    r"(?:\s*(?:\.{3}|\\[lc]?dots))?"
)
_GOES_ON = re.compile(r"([-+]?)\s*(\d*)\.(\d{3,})\s*(?:\.{3}|\\[lc]?dots)")
_POWER = re.compile(
    rf"([-+]?)\s*({_DECIMAL})\s*(?:(?:\\times|\\cdot|\*|x)\s*10\s*(?:\^|\*\*)\s*(?:\{{\s*)?\(?|[eE])([-+]?\d{{1,4}})\)?(?:\s*\}})?"
)


@dataclass(frozen=True)
class Number:
    """A rational number as written.

    Attributes:
      value: the exact value.
      unit_in_last_place: unit in the last place of the decimal that it is written as; None for a fraction.
      digits: number of significant digits of that decimal; 0 for a fraction.
    """

    value: Fraction
    unit_in_last_place: Fraction | None = None
    digits: int = 0


def read_number(text: str) -> Number | None:
    r"""The number that all of `text` is, else None.

    So are 1,234.5, 1 234, -3/4, \frac{3}{4}, 1\frac{4}{5}, 6.7 \times 10^{-5} and 0.\overline{6}.
    """
    text = text.strip()
    while text.startswith("{") and text.endswith("}") and text.count("{") == 1:
        text = text[1:-1].strip()
    if not text or len(text) > 3 * LONGEST:
        return None
    if match := _SLASH.fullmatch(text) or _FRAC.fullmatch(text):
        whole, top, bottom = (int((group or "0").replace(",", "")) for group in match.group(2, 3, 4))
        if bottom == 0 or (match[2] and (top < 0 or bottom < 0)):
            return None
        return Number((whole + Fraction(top, bottom)) * (-1 if match[1] == "-" else 1))
    if len(text) > LONGEST:
        return None
    if match := _PLAIN.fullmatch(text):
        return _decimal(match[1], match[2], 0)
    if match := _POWER.fullmatch(text):
        return _decimal(match[1], match[2], int(match[3])) if abs(int(match[3])) <= _EXPONENT else None
    return _repeating(text) if ("." in text and text[-1:] in "}).") or "dot" in text else None


def same_number(gold: Number, other: Number) -> bool:
    """Whether two written numbers are equal.

    Equality is exact, with one allowance: a decimal of six or more significant digits stands for a fraction
    without a finite decimal where it is off by less than one unit in its last place.
    """
    if gold.value == other.value:
        return True
    if gold.digits and not other.digits:
        return not _terminates(other.value) and stands_for(gold, other.value)
    return bool(other.digits) and not gold.digits and not _terminates(gold.value) and stands_for(other, gold.value)


def stands_for(decimal: Number, value: Fraction) -> bool:
    """Whether a decimal has digits enough to stand for `value`, and those of it, rounded or cut off."""
    unit = decimal.unit_in_last_place
    return unit is not None and decimal.digits >= DIGITS and abs(decimal.value - value) < unit


def _repeating(text: str) -> Number | None:
    """A repeating decimal as the fraction that it is, whatever marks what repeats."""
    if match := _REPEATING.fullmatch(text):
        sign, whole, fixed = match.group(1, 2, 3)
        period = match[4] or match[5] or match[6] or f"{match[7]}{match[8]}{match[9]}"
    elif match := _GOES_ON.fullmatch(text):
        sign, whole, digits = match.groups()
        if (shown := _period(digits)) is None:
            return None
        fixed, period = shown
    else:
        return None
    top = int(f"{whole or 0}{fixed}{period}") - int(f"{whole or 0}{fixed}")
    value = Fraction(top, (10 ** len(period) - 1) * 10 ** len(fixed))
    return Number(-value if sign == "-" else value)


def _period(digits: str) -> tuple[str, str] | None:
    """What stands before the repeating digits, and those: three times a single one, twice a longer one, to the end."""
    for length in range(1, min(len(digits) // 2, _MOST_PERIOD) + 1):
        period, times = digits[-length:], 3 if length == 1 else 2
        if digits.endswith(period * times):
            rest = digits
            while rest.endswith(period):
                rest = rest[:-length]
            return rest, period
    return None


def _decimal(sign: str, digits: str, exponent: int) -> Number:
    digits = digits.replace(",", "").replace(" ", "")
    places = len(digits.partition(".")[2])
    unit = Fraction(10) ** (exponent - places)
    value = Fraction(digits if digits[-1] != "." else digits[:-1]) * Fraction(10) ** exponent
    significant = len(digits.replace(".", "").lstrip("0"))
    return Number(-value if sign == "-" else value, unit, max(significant, 1))


def _terminates(value: Fraction) -> bool:
    bottom = value.denominator
    for prime in (2, 5):
        while bottom % prime == 0:
            bottom //= prime
    return bottom == 1
