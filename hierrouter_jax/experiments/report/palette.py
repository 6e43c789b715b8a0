"""One colour per model everywhere, in a light and a dark theme that an inline SVG follows.

Figures are drawn in the light theme. In the page's SVG every theme colour becomes a CSS variable of the page, so
that the same picture reads in the dark; files for papers and slides are recoloured (`paper.py`).
"""

import io
import re
from collections.abc import Mapping
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

# name: (light, dark); the model colours are Paul Tol's colour-blind-safe ones, lightened for the dark.
_MODEL_COLOURS = (
    ("#4477aa", "#7fadd9"),
    ("#ddaa33", "#e8c15c"),
    ("#228833", "#5fb96c"),
    ("#ee6677", "#f5929e"),
    ("#66ccee", "#8ad9f3"),
    ("#332288", "#9a8fe0"),
    ("#44aa99", "#6fc9ba"),
    ("#8c6d52", "#c2a285"),
    ("#999933", "#c0c066"),
)
DISTINCT = len(_MODEL_COLOURS)  # of more models some look alike
# What is compared has colours of its own, so that no arm is taken for a model.
_ARM_COLOURS = (
    ("#1d4ed8", "#7fa5f8"),
    ("#c2410c", "#f28a52"),
    ("#0f766e", "#4fc3b5"),
    ("#6d28d9", "#b394f4"),
    ("#be123c", "#f4718c"),
    ("#4d7c0f", "#a5cf5a"),
    ("#a16207", "#dfb34b"),
    ("#475569", "#a3b1c4"),
)
_ARM_MARKERS = "osD^vPXh"
_THEME = {
    "ink": ("#1b1f24", "#e6e8eb"),
    "soft": ("#5b636e", "#a3abb6"),
    "faint": ("#717984", "#848c97"),
    "grid": ("#e3e6ea", "#2b3036"),
    "paper": ("#fffffe", "#14171b"),
    "stop": ("#c3c8cf", "#4a5159"),
    "learned": ("#aa3377", "#e58bbd"),
    "on-dark": ("#fffffd", "#14171c"),
    "on-light": ("#1b1f25", "#14171d"),
    **{f"model-{index}": pair for index, pair in enumerate(_MODEL_COLOURS)},
    **{f"arm-{index}": pair for index, pair in enumerate(_ARM_COLOURS)},
}
_DARK_FILLS = frozenset({"#4477aa", "#228833", "#332288", "#8c6d52"})
COLOUR = {name: light for name, (light, _) in _THEME.items()}
DARK = dict(_THEME.values())  # what each light colour is in the dark
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.color": COLOUR["ink"],
    "axes.labelcolor": COLOUR["soft"],
    "axes.edgecolor": COLOUR["faint"],
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "grid.color": COLOUR["grid"],
    "grid.linewidth": 0.8,
    "xtick.color": COLOUR["soft"],
    "ytick.color": COLOUR["soft"],
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.frameon": False,
    "svg.fonttype": "none",
}

PIXEL = 1 / 72  # inches of one CSS pixel of the page: fonts then have their size in pixels
ON_A_LINE: dict[str, Any] = {
    "xycoords": ("axes fraction", "data"),
    "textcoords": "offset points",
    "fontsize": 10,
    "color": COLOUR["soft"],
}


def canvas(size: tuple[float, float], **options: Any) -> Figure:
    """An empty figure of a size in pixels of the page."""
    return Figure(figsize=(size[0] * PIXEL, size[1] * PIXEL), **options)


def model_colour(index: int) -> str:
    return COLOUR[f"model-{index % len(_MODEL_COLOURS)}"]


def arm_look(index: int) -> dict[str, Any]:
    """Colour and marker of what is compared, by its position."""
    return {
        "color": COLOUR[f"arm-{index % len(_ARM_COLOURS)}"],
        "marker": _ARM_MARKERS[index % len(_ARM_MARKERS)],
        "linestyle": "-" if index < len(_ARM_COLOURS) else "--",
    }


def arm_variable(index: int) -> str:
    return f"var(--arm-{index % len(_ARM_COLOURS)})"


def text_on(fill: str) -> str:
    """Ink that reads on a model's colour."""
    return COLOUR["on-dark"] if fill in _DARK_FILLS else COLOUR["on-light"]


def css_variables(theme: int) -> str:
    """Declarations of the theme's colours: 0 light, 1 dark."""
    return " ".join(f"--{name}: {pair[theme]};" for name, pair in _THEME.items())


def model_variable(index: int) -> str:
    return f"var(--model-{index % len(_MODEL_COLOURS)})"


def to_svg(figure: Figure, label: str, titles: Mapping[str, str] | None = None) -> str:
    """A figure as an inline SVG that follows the page's theme and width.

    Args:
      label: read to the blind, and unique on the page.
      titles: what the artist with that gid says when pointed at.
    """
    buffer = io.StringIO()
    with rc_context({**STYLE, "svg.hashsalt": label}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style type=.*?</style>", "", svg, flags=re.DOTALL)
    width, height = (72 * side for side in figure.get_size_inches())
    opening = f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {width:g} {height:g}" '
    svg = re.sub(r"<svg\b[^>]*", lambda _: f'{opening}style="max-width:{1.2 * width:g}px"', svg, count=1)
    for gid, title in (titles or {}).items():
        svg = svg.replace(f'<g id="{gid}">', f"<g><title>{escape(title, quote=False)}</title>", 1)
    used = set(re.findall(r"#([\w-]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", svg)
    for name, colour in COLOUR.items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg
