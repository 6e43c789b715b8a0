"""A page with its figures and its numbers beside it: report.html, figures/, data/*.csv and report.json."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from hierrouter_jax.files import replacing, write_json, write_text
from hierrouter_jax.outcomes.table import RIGHT
from hierrouter_jax.report import formats
from hierrouter_jax.report.data.run import records
from hierrouter_jax.report.figures.style import css_variables

_TEMPLATES = Path(__file__).parent / "templates"
PAGE, NUMBERS, FIGURES, DATA = "report.html", "report.json", "figures", "data"
_TOO_LONG = 5000  # a table with more rows is told by its CSV alone


@dataclass(frozen=True)
class Section:
    """A part of a page that not every page has.

    Attributes:
      context: the values that its part of the template prints.
      rows: the rows of its table of numbers.
      files: its figures' files by name, as `style.paper_files` makes them.
    """

    context: Mapping[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Site:
    """All that is written of one report.

    Attributes:
      template: file name of the page's template.
      context: the values that the template prints.
      frames: every table of numbers, by the name of its CSV file.
      numbers: what `report.json` holds beside the tables.
      figures: figures' files by name, as `style.paper_files` makes them.
    """

    template: str
    context: Mapping[str, Any]
    frames: Mapping[str, pd.DataFrame]
    numbers: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, bytes] = field(default_factory=dict)


def write_site(folder: Path, site: Site) -> Path:
    """Write a report into a folder, the page last, and return the page's path."""
    frames = {name: frame for name, frame in site.frames.items() if not frame.empty}
    page = _render(site.template, {**site.context, "frames": set(frames), "files": set(site.figures)})
    for name, content in site.figures.items():
        with replacing(folder / FIGURES / name) as temporary:
            temporary.write_bytes(content)
    for name, frame in frames.items():
        with replacing(folder / DATA / f"{name}.csv") as temporary:
            frame.to_csv(temporary, index=False)
    tables = {name: records(frame) for name, frame in frames.items() if len(frame) <= _TOO_LONG}
    left = sorted(f"{DATA}/{name}.csv" for name in frames.keys() - tables.keys())
    write_json(folder / NUMBERS, {**site.numbers, "tables": tables, "only_in_csv": left})
    write_text(folder / PAGE, page)
    return folder / PAGE


def _render(template: str, context: Mapping[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": formats.percent,
        "interval": formats.percent_interval,
        "number": formats.number,
        "points": formats.signed_points,
        "p": formats.p_value,
        "multiple": formats.multiple,
        "probability": formats.probability,
    }
    environment.globals["RIGHT"] = RIGHT
    return environment.get_template(template).render(
        **context,
        style=Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8")),
        light=Markup(css_variables(0)),
        dark=Markup(css_variables(1)),
    )
