"""Parts of pages that are made while the site is built: a line `<!-- generated: NAME -->` stands for one.

Nothing that is made here is kept in the repository, so it cannot disagree with the code.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import import_graph
import public_names
import verbs
import yaml

ROOT = Path(__file__).parents[2]
MARK = re.compile(r"^<!-- generated: ([\w ]+) -->$", re.MULTILINE)


def presets() -> str:
    """Every preset of `configs/`, by folder, with the comment that it opens with and its text."""
    parts = []
    for folder in sorted(path for path in (ROOT / "configs").iterdir() if path.is_dir()):
        parts.append(f"## {folder.name}")
        for path in sorted(folder.glob("*.yaml")):
            text = path.read_text(encoding="utf-8")
            yaml.safe_load(text)
            parts += [f"### {folder.name}/{path.name}", opening_comment(text)]
            parts.append(f"```yaml\n{body(text)}```")
    return "\n\n".join(parts)


def opening_comment(text: str) -> str:
    """The comment at the head of a preset, as Markdown; a list in it stays one."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return re.sub(r"\n(?=- )", "\n\n", "\n".join(lines), count=1)


def body(text: str) -> str:
    """A preset's text behind the comment that it opens with."""
    lines = text.splitlines(keepends=True)
    while lines and lines[0].startswith("#"):
        lines.pop(0)
    return "".join(lines)


PARTS: dict[str, Callable[[], str]] = {
    "command line": verbs.reference,
    "public names": public_names.reference,
    "presets": presets,
    "import graph": import_graph.figure,
}


def fill(source: str) -> str:
    """A page's text with the generated parts in the places of their marks."""
    return MARK.sub(lambda found: PARTS[found[1]](), source)


def setup(app: Any) -> dict[str, bool]:
    """Sphinx's entrance: pages are filled as they are read."""

    def read(app: Any, name: str, source: list[str]) -> None:
        source[0] = fill(source[0])

    def markdown(app: Any, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
        lines[:] = public_names.as_rst(lines)

    app.connect("source-read", read)
    app.connect("autodoc-process-docstring", markdown, priority=100)  # before napoleon reads the sections
    return {"parallel_read_safe": True, "parallel_write_safe": True}
