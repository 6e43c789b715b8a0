"""One look for every figure: colours of two themes, pictures inside a page, and files for papers and slides.

Figures are drawn in the light theme, in pixels of the page, with text of 10 and 11 pixels. In a page's SVG every theme
colour becomes a CSS variable, so that the same picture reads in the dark. In files for papers 650 pixels are the 7
inches of two columns, so text stands at 7.8 and 8.5 points; a single column of 3.4 inches is 316 pixels. The dark files
are the same drawing recoloured.
"""

import io
import re
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.colors import to_hex, to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

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
    "text.parse_math": False,  # what models write may hold dollar signs, and no text here is a formula
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
SINGLE, DOUBLE = 316, 650  # widths in pixels of a figure for one column and for two
INCHES = 7 / DOUBLE  # on paper, of one pixel
DOTS = 300  # an inch, of the PNG on paper
# The first that a viewer has; the others are about as wide.
_FONTS = "'DejaVu Sans', 'Bitstream Vera Sans', Verdana, sans-serif"
_COLOURS = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")
PERCENT = FuncFormatter(lambda value, _: f"{round(100 * value, 6):g} %")
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


def to_svg(figure: Figure, label: str, titles: Mapping[str, str] | None = None) -> Markup:
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
    return Markup(svg)


def paper_files(figures: Mapping[str, Figure]) -> dict[str, bytes]:
    """`NAME.png` and `NAME.svg` on white, `NAME.dark.png` and `NAME.dark.svg`; the figures end up dark."""
    files: dict[str, bytes] = {}
    for name, figure in figures.items():
        svg = _svg(figure, name)
        figure.set_layout_engine("none")  # it is laid out now, and stays so
        files[f"{name}.png"] = _png(figure, COLOUR["paper"])
        files[f"{name}.svg"] = svg.encode()
        files[f"{name}.dark.svg"] = re.sub("|".join(DARK), lambda match: DARK[match[0]], svg).encode()
        darken(figure)
        files[f"{name}.dark.png"] = _png(figure, DARK[COLOUR["paper"]])
    return files


def darken(figure: Figure) -> None:
    """Give every artist of a drawn figure the dark theme's colours."""
    artists = [artist for drawn in figure.findobj() for artist in (drawn, getattr(drawn, "arrow_patch", None))]
    for artist in filter(None, artists):
        for name in _COLOURS:
            _darken(artist, name)


def _darken(artist: Artist, name: str) -> None:
    get, put = getattr(artist, f"get_{name}", None), getattr(artist, f"set_{name}", None)
    if get is None or put is None:
        return
    colour: Any = get()
    if isinstance(colour, np.ndarray) and colour.ndim == 2:
        put([_dark(one) for one in colour])
    elif not isinstance(colour, str) or colour not in ("none", "auto"):
        put(_dark(colour))


def _dark(colour: Any) -> Any:
    """The dark colour of a light one, as opaque as that; others stay."""
    light = to_hex(to_rgb(colour))
    return (*to_rgb(DARK[light]), to_rgba(colour)[3]) if light in DARK else colour


def _svg(figure: Figure, name: str) -> str:
    """A vector file on the theme's paper, whose text stays text."""
    buffer = io.StringIO()
    with rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", facecolor=COLOUR["paper"], metadata={"Date": None, "Creator": None})
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", _FONTS, buffer.getvalue())
    width, height = (f"{side / PIXEL * INCHES:.4g}in" for side in figure.get_size_inches())
    return re.sub(
        r'(<svg\b[^>]*?) width="[^"]*"([^>]*?) height="[^"]*"', rf'\1 width="{width}"\2 height="{height}"', svg
    )


def _png(figure: Figure, paper: str) -> bytes:
    buffer = io.BytesIO()
    options: dict[str, Any] = {"dpi": DOTS * INCHES / PIXEL, "pil_kwargs": {"dpi": (DOTS, DOTS)}}
    with rc_context(STYLE):
        figure.savefig(buffer, format="png", facecolor=paper, metadata={"Software": None}, **options)
    return buffer.getvalue()
