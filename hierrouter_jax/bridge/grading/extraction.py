"""The program in a chat response: what a model meant to hand in, made whole with the prompt it completes."""

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice

# A fence, its language, the text; a response that was cut off may leave the last fence open.
_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"```(?:python)?(.+?)```", re.DOTALL)
_MOST_CUTS = 100
_MOST_STARTS = 20
_PYTHON = {"", "python", "python3", "py", "py3"}
_STARTS = re.compile(r"^(?:def|class|import|from|@|async def)\b|^@", re.MULTILINE)


def extract_program(response: str, wanted: Sequence[str], prompt: str = "") -> str:
    """The source to run; empty where the response holds no code.

    1. Of the fenced Python blocks the **last that defines a wanted name** counts: a response that corrects itself
       commits to its last version, and blocks of usage or output define nothing. Without one the **first** block
       that is Python counts, being the body or the whole of the answer before examples follow.
    2. Without fences, the response itself if it is Python; else the longest piece that is, from the first line that
       starts a definition or an import.
    3. Where the code does not define the function and there is a prompt, the code is the function's body and goes
       after the prompt, indented as needed. Where it does, the prompt still goes before it, because its imports and
       helper functions belong to the program.

    Args:
      wanted: names of which the program must define at least one.
      prompt: a signature and docstring that the response may complete; empty for none.
    """
    candidates = code_blocks(response) or list(_unfenced(response))
    defining = [code for code in candidates if defined(code) & set(wanted)]
    if defining:
        return _with_prompt(defining[-1], prompt)
    if prompt:
        bodies = [whole for code in (*candidates, response) for whole in _completed(code, prompt, wanted)]
        if bodies:
            return bodies[0]
    return next((code for code in candidates if code.strip()), "")


def defined(source: str) -> set[str]:
    """Names that a source defines at its top level; none if it is no Python."""
    tree = _parsed(source)
    found: set[str] = set()
    for node in tree.body if tree else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def code_blocks(response: str) -> list[str]:
    """The fenced blocks that are Python or name no language, in order."""
    blocks = [text for _, language, text in _FENCE.findall(response) if language.lower() in _PYTHON]
    return [_repaired(text) for text in blocks or _INLINE.findall(response)]


def _unfenced(response: str) -> Iterator[str]:
    """Pieces of a response without fences that may be the code."""
    if _parsed(response):
        yield response
    else:
        yield from (_longest(response[start.start() :]) for start in islice(_STARTS.finditer(response), _MOST_STARTS))


def _repaired(block: str) -> str:
    """A block as it is if it is Python; without its common indentation; or up to where it stops being Python."""
    for text in (block, textwrap.dedent(block)):
        if _parsed(text):
            return text
    if _STARTS.match(block):
        return _longest(block) or block
    return block


def _longest(text: str) -> str:
    """The lines from the start that are Python: cut where an error is reported, until there is none."""
    lines = text.splitlines()
    for _ in range(_MOST_CUTS):
        error = _error("\n".join(lines))
        if error is None:
            break
        lines = lines[: min(max((error.lineno or 1) - 1, 0), len(lines) - 1)]
    whole = "\n".join(lines)
    return whole if _parsed(whole) else ""


def _completed(code: str, prompt: str, wanted: Sequence[str]) -> Iterator[str]:
    """The prompt with the code as the function's body, where that is Python and the function does something."""
    first, _, rest = code.lstrip("\n").partition("\n")
    bodies = (
        code,
        textwrap.indent(textwrap.dedent(code), "    "),
        f"    {first.strip()}\n{rest}",  # a first line that lost its indentation
    )
    for body in bodies:
        whole = prompt.rstrip() + "\n" + body.strip("\n") + "\n"
        tree = _parsed(whole)
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)] if tree else []
        if any(node.name in wanted and len(node.body) > 1 for node in functions):
            yield whole


def _with_prompt(code: str, prompt: str) -> str:
    whole = prompt.rstrip() + "\n\n" + code
    return whole if prompt and _parsed(whole) and "from __future__" not in code else code


def _parsed(source: str) -> ast.Module | None:
    """The tree of a source that compiles and does something."""
    if _error(source) is not None:
        return None
    tree = ast.parse(source)
    return tree if tree.body else None


def _error(source: str) -> SyntaxError | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes and the like
            compile(source, "<response>", "exec", dont_inherit=True)  # more than a tree: no `return` outside a function
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return SyntaxError(str(error))
    return None
