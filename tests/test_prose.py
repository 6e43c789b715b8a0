"""Names and field docs can be understood where they stand."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "hierrouter_jax"
MODULES = sorted(PACKAGE.rglob("*.py"))

# A participle says what happened to a thing and not what it is.
PARTICIPLES = {
    "told",
    "found",
    "wanted",
    "wanting",
    "laid",
    "judged",
    "given",
    "asked",
    "kept",
    "said",
    "meant",
    "made",
}
# A field doc that begins so goes on with the field's name, and cannot be read without it.
OPENERS = {"of", "when", "whose", "that", "to", "in", "as", "for", "by", "which", "where", "if", "from", "who", "with"}
OPENERS |= {"on", "at", "and", "or", "so", "before", "after", "between", "up", "under", "unless", "because", "over"}
OPENERS |= {"is", "are"}
SECTIONS = ("Attributes", "Args")
ENTRY = re.compile(r"^( +)([\w*]+(?:, [\w*]+)*)(?: \([^)]*\))?: (.*)$")


def bound_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Names that a module binds: parameters, variables, functions, classes and the fields of classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno


def field_docs(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """The name, the text and the line of every entry under `Attributes:` and `Args:`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from entries(ast.get_docstring(node, clean=True) or "", getattr(node, "lineno", 1))


def entries(docstring: str, line: int) -> Iterator[tuple[str, str, int]]:
    section, depth, name, text = "", 0, "", []
    for row in [*docstring.splitlines(), ""]:
        heading = re.match(r"^(\w+)(?: \([^)]*\))?:$", row)
        entry = ENTRY.match(row) if section in SECTIONS else None
        fresh = entry is not None and (not depth or len(entry[1]) <= depth)
        if name and (heading or fresh or not row.strip()):
            yield name, " ".join(text), line
            name, text = "", []
        if heading:
            section, depth = heading[1], 0
        elif fresh and entry:
            depth, name, text = len(entry[1]), entry[2], [entry[3]]
        elif name:
            text.append(row.strip())


def fragments(text: str) -> bool:
    """Whether an entry is a fragment: it begins as the middle of a sentence does, or has fewer than three words."""
    words = re.findall(r"[\w'-]+", text)
    return len(words) < 3 or words[0].lower() in OPENERS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_name_is_a_bare_participle(path):
    names = [f"{name}, line {line}" for name, line in bound_names(ast.parse(path.read_text())) if name in PARTICIPLES]
    assert names == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_field_doc_can_be_read_alone(path):
    docs = field_docs(ast.parse(path.read_text()))
    assert [f"{name}, line {line}: {text}" for name, text, line in docs if fragments(text)] == []


def test_a_participle_and_a_fragment_are_caught():
    docs = "Args:\n      told: of the\n        router.\n      size: rows of the table."
    tree = ast.parse(f'def f(told):\n    """F.\n\n    {docs}\n    """')
    assert [name for name, _ in bound_names(tree) if name in PARTICIPLES] == ["told"]
    assert [(name, fragments(text)) for name, text, _ in field_docs(tree)] == [("told", True), ("size", False)]
    assert fragments("when.")
    assert not fragments("number of hops that are done")
