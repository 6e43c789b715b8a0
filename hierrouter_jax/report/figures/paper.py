"""Figures as files for papers and slides: PNG and SVG, light and dark, at the width and font size of print.

A figure is drawn once, in pixels of the page with text of 10 and 11 pixels. On paper 650 of its pixels are the 7 inches
of two columns, so text stands at 7.8 and 8.5 points; a single column of 3.4 inches is 316 pixels. The dark files are
the same drawing recoloured by the palette.
"""

import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.colors import to_hex, to_rgb, to_rgba
from matplotlib.figure import Figure

from hierrouter_jax.report.figures.palette import COLOUR, DARK, PIXEL, STYLE

SINGLE, DOUBLE = 316, 650  # widths in pixels of a figure for one column and for two
INCHES = 7 / DOUBLE  # on paper, of one pixel
DOTS = 300  # an inch, of the PNG on paper
# The first that a viewer has; the others are about as wide.
_FONTS = "'DejaVu Sans', 'Bitstream Vera Sans', Verdana, sans-serif"
_COLOURS = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")


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
    artists = [artist for found in figure.findobj() for artist in (found, getattr(found, "arrow_patch", None))]
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
