"""What a piece of Python defines and needs, and how much of a text is Python."""

import ast
import builtins
import re
import symtable
import threading
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Literal

_MOST_CUTS = 100
_GOES_ON = re.compile(r"(?:return|yield|break|continue|elif|else|except|finally)\b")
_guard = threading.Lock()  # what warns is the process's


@lru_cache(maxsize=64)
def error_in(source: str) -> SyntaxError | None:
    """Why a source does not compile; None where it does.

    More than a tree is asked for: a `return` outside a function parses, and is no program.
    """
    try:
        with _quiet():
            compile(source, "<response>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return SyntaxError(str(error))
    return None


@lru_cache(maxsize=16)
def syntax_tree(source: str) -> ast.Module | None:
    """The tree of a source that compiles and holds a statement; None of any other."""
    if not source.strip() or error_in(source) is not None:
        return None
    with _quiet():
        tree = ast.parse(source)
    return tree if tree.body else None


def code_lines(text: str) -> list[str]:
    """The lines of a text as Python numbers them; `str.splitlines` starts one at a form feed and the like, too."""
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")


def longest(text: str) -> tuple[str, str]:
    """The lines from the start of a text that are Python, empty where the first is none; and the lines after them.

    The text is cut where an error is reported, until there is none.
    """
    lines = code_lines(text)
    size = len(lines)
    for _ in range(_MOST_CUTS):
        error = error_in("\n".join(lines[:size]))
        if error is None:
            break
        size = min(max((error.lineno or 1) - 1, 0), size - 1)
    whole = "\n".join(lines[:size])
    return (whole, "\n".join(lines[size:])) if syntax_tree(whole) else ("", text)


def goes_on(rest: str) -> bool:
    """Whether what follows a source is the rest of its last statement, or of a function's body."""
    first = next((line for line in rest.splitlines() if line.strip()), "")
    return first[:1].isspace() or bool(_GOES_ON.match(first))


def defined_names(source: str) -> set[str]:
    """Names that a source gives a meaning at its top level: variables, classes, functions that do something."""
    tree = syntax_tree(source)
    return {name for node in tree.body if not _imports(node) for name in _names_of(node)} if tree else set()


def names_before_end(source: str) -> set[str]:
    """As `defined_names`, less what only the last statement defines."""
    tree = syntax_tree(source)
    return {name for node in tree.body[:-1] if not _imports(node) for name in _names_of(node)} if tree else set()


def bound_names(source: str) -> set[str]:
    """Names that a source defines or imports at its top level."""
    tree = syntax_tree(source)
    return {name for node in tree.body for name in _names_of(node)} if tree else set()


def missing_names(source: str) -> set[str]:
    """Names that a source uses and that neither it nor Python defines; none where it does not compile."""
    used, own = _globals(source)
    return {name for name in used - own if not hasattr(builtins, name)}


def does_something(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function holds more than a docstring, `pass`, an ellipsis, imports and functions of its own."""
    nothing = (ast.Pass, ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return not all(isinstance(part, nothing) or _says_nothing(part) for part in node.body)


def without_demonstration(
    source: str,
    names: Collection[str],
    test_names: Collection[str],
    counts: Literal["first", "last", "closed"] = "last",
) -> str:
    """A program less what shows it at work.

    Up to the definition of a wanted name, bare words go (`python`, `[BEGIN]`). After it only what the program needs
    stays: definitions of names that it or its tests use, statements that change them, and a raised recursion limit.
    Prints, asserts, input and further functions go.

    Args:
      source: source of the program; it comes back as it is where it does not compile or defines no wanted name.
      names: names of which the program defines at least one: the wanted names.
      test_names: names that the tests take from the program beside those.
      counts: the definition of a wanted name that counts: the first, as where a text runs on behind it; the last; or
        the last that is not the end of the source, as where that may be cut off.
    """
    tree = syntax_tree(source)
    at = [place for place, node in enumerate(tree.body) if _names_of(node) & set(names)] if tree else []
    if tree is None or not at:
        bare = [node for node in tree.body if _says_nothing(node)] if tree else []
        return "" if tree and len(bare) == len(tree.body) else source
    if counts == "closed" and len(at) > 1 and at[-1] == len(tree.body) - 1:
        at.pop()
    end = (at[0] if counts == "first" else at[-1]) + 1
    statements = [node for node in tree.body[:end] if not _says_nothing(node)]
    own = {name for node in statements for name in _names_of(node)} & set(names)
    tail = [node for node in tree.body[end:] if not _names_of(node) & own]
    while True:
        needed = _globals(_lines_of(source, statements))[0] | set(test_names) | set(names)
        more = [node for node in tail if _serves(node, needed)]
        if not more:
            break
        statements += more
        tail = [node for node in tail if node not in more]
    return _lines_of(source, statements)


def _lines_of(source: str, nodes: list[ast.stmt]) -> str:
    """The source's lines of some statements, comments before them included."""
    tree = syntax_tree(source) or ast.Module([], [])
    starts = {node.lineno for node in nodes}
    lines, output, done = code_lines(source), [], 0
    for node in tree.body:
        end = node.end_lineno or node.lineno
        if node.lineno in starts:
            output += lines[done:end]
        done = max(done, end)
    return "\n".join(output).strip("\n") + "\n"


def _globals(source: str) -> tuple[set[str], set[str]]:
    """Names that a source looks up among its globals, in whatever scope, and those that it sets there."""
    try:
        with _quiet():
            top = symtable.symtable(source, "<response>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return set(), set()
    used: set[str] = set()
    own: set[str] = set()
    tables = [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            if table is not top and not symbol.is_global():
                continue
            if symbol.is_referenced():
                used.add(symbol.get_name())
            if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
                own.add(symbol.get_name())
    return used, own


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Python's warnings of a source: of invalid escapes and the like."""
    with _guard, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _names_of(node: ast.stmt) -> set[str]:
    """Names that a top-level statement defines or imports."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name} if does_something(node) else set()
    if isinstance(node, ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.If | ast.Try | ast.With) and not _is_main(node):
        return {name for part in _statements(node) for name in _names_of(part)}
    if isinstance(node, ast.AnnAssign) and node.value is None:
        return set()
    return {target.id for target in _targets(node) if isinstance(target, ast.Name)}


def _serves(node: ast.stmt, needed: set[str]) -> bool:
    """Whether a statement defines a needed name, or changes what it holds."""
    if _is_main(node) or isinstance(node, ast.Assert):
        return False
    if _names_of(node) & needed:
        return True
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    bases = [target.value for target in _targets(node) if isinstance(target, ast.Attribute | ast.Subscript)]
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        if node.value.func.attr == "setrecursionlimit":
            return True
        bases.append(node.value.func.value)
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        bases.append(node.target)
    return any(isinstance(base, ast.Name) and base.id in needed for base in bases) or any(
        _serves(part, needed) for part in _statements(node)
    )


def _targets(node: ast.stmt) -> list[ast.expr]:
    """What an assignment assigns to, parts of tuples one by one."""
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    else:
        targets = []
    flat: list[ast.expr] = []
    for target in targets:
        flat += target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    return flat


def _statements(node: ast.stmt) -> Iterator[ast.stmt]:
    """The statements right inside a compound one."""
    for name in ("body", "orelse", "finalbody"):
        yield from getattr(node, name, [])
    for handler in getattr(node, "handlers", []):
        yield from handler.body


def _imports(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _is_main(node: ast.stmt) -> bool:
    """Whether it is `if __name__ == "__main__":`, which no import of the program runs."""
    if not isinstance(node, ast.If) or not isinstance(node.test, ast.Compare):
        return False
    return isinstance(node.test.left, ast.Name) and node.test.left.id == "__name__"


def _says_nothing(node: ast.stmt) -> bool:
    """Whether it is a bare word, a constant, or a list of such."""
    if not isinstance(node, ast.Expr):
        return False
    parts = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
    return all(isinstance(part, ast.Name | ast.Constant) for part in parts)
