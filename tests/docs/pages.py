"""The fenced blocks of a page, and what its comments say of how they are tested.

A comment on lines of its own right above a block (HTML, so that no reader sees it) may say:

- `not run: REASON`: the block is left out. REASON begins with one of `REASONS`.
- `file: NAME`: the block is written to a file of that name, for later blocks to use.
- `check: KIND`: the file is read as such a file is: a pool, queries, or what `--config` of a verb reads.
- `swap: X => Y`, on each line one: the block runs with Y where it says X, as X would take long.
- `before: COMMAND`, on each line one: what runs first, as a reader would have done it already.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
CODE = ("python", "bash", "yaml", "json", "text")
INCLUDED = {".py": "python", ".yaml": "yaml"}  # languages of included files; any other is text
REASONS = ("needs a GPU", "needs a hub", "takes over five minutes")
_BLOCK = re.compile(
    r"(?:^<!--(?P<comment>.*?)-->\n+)?^(?P<fence>`{3,})(?P<language>.*?)\n(?P<text>.*?)^(?P=fence)$",
    flags=re.MULTILINE | re.DOTALL,
)
_INCLUDED = re.compile(r"\{literalinclude\} (\S+)")
_NAMED = re.compile(r"# ([\w./-]+\.\w+)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
      page: path of the page in the repository.
      line: number of the block's first line in the page.
      language: what the fence says the block is written in.
      text: content of the block, or of the example that it includes.
      file: name of the file that the block is written to; none for a block that runs.
      check: kind of file that the file is checked to be; none where later blocks use it.
      reason: words that say why the block is left out; empty where it runs.
      before: commands that run before the block.
      swaps: pairs of a text of the block and the text that runs in its place.
    """

    page: str
    line: int
    language: str
    text: str
    file: str | None = None
    check: str | None = None
    reason: str = ""
    before: list[str] = field(default_factory=list)
    swaps: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def run_text(self) -> str:
        text = self.text
        for old, new in self.swaps:
            assert old in text, f"{self}: there is no {old!r} to replace"
            text = text.replace(old, new)
        return text


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order; what programs print, in fences of `text` that are no file, is none."""
    source = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(source):
        language, text = match["language"].strip(), match["text"]
        included = _INCLUDED.match(language)
        if included:
            path = page.parent / included[1]
            language, text = INCLUDED.get(path.suffix, "text"), f"# {path.name}\n{path.read_text(encoding='utf-8')}"
        if language.startswith("{") or (language == "text" and "file: " not in (match["comment"] or "")):
            continue
        name = str(page.relative_to(ROOT))
        line = source.count("\n", 0, match.start("fence")) + 2
        found.append(block(name, line, language, text, match["comment"] or ""))
    return found


def block(page: str, line: int, language: str, text: str, comment: str) -> Block:
    assert language in CODE, f"{page}:{line}: a block is in one of {', '.join(CODE)}, not in {language!r}"
    told: dict = {"before": [], "swaps": []}
    for instruction in filter(None, (part.strip() for part in comment.splitlines())):
        key, colon, value = instruction.partition(": ")
        assert colon, f"{page}:{line}: {instruction!r} is no instruction"
        if key == "not run":
            assert value.startswith(REASONS), f"{page}:{line}: a block is left out as it {' or '.join(REASONS)}"
            told["reason"] = value
        elif key in ("file", "check"):
            told[key] = value
        elif key == "before":
            told["before"].append(value)
        else:
            assert key == "swap", f"{page}:{line}: {key!r} is no instruction"
            old, _, new = value.partition(" => ")
            told["swaps"].append((old, new))
    named = _NAMED.match(text)
    if named and language != "bash":
        told.setdefault("file", named[1])
    return Block(page, line, language, text, **told)


def left_out(found: list[Block]) -> list[Block]:
    return [one for one in found if one.reason]
