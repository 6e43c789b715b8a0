"""Unicode signs of mathematics in LaTeX: roots, fractions, powers, letters, sets."""

import re
import unicodedata

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
