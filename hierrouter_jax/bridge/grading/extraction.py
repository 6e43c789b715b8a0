"""The program in a chat response: what a model meant to hand in, made whole with the prompt it completes."""

import ast
import re
import textwrap
from collections.abc import Collection, Iterator, Sequence

from hierrouter_jax.bridge.grading.markup import IN_CODE, without_thinking
from hierrouter_jax.bridge.grading.pieces import End, Piece, parts, pieces
from hierrouter_jax.bridge.grading.source import (
    bound_names,
    code_lines,
    defined_names,
    does_something,
    goes_on,
    longest,
    missing_names,
    names_before_end,
    syntax_tree,
    without_demonstration,
)

_GOES_ON = re.compile(r"\s*\n?([ \t]+\S|(?:return|yield)\b)")


def extract_program(response: str, names: Sequence[str], prompt: str = "", test_names: Collection[str] = ()) -> str:
    """The source to run; empty where the response holds no code.

    Candidates are tried in this order, and the first that compiles and defines a wanted name is the program; none is
    ever chosen by whether it passes the tests. Reasoning set apart in tags is not read.

    1. Where there is a prompt and the response goes on with its function's body (its first line is indented, or
       returns): the prompt with the response, up to where that stops being Python.
    2. The last piece of code that defines a wanted name, of the first part of the response that has one. Fenced blocks
       of Python come before other blocks, these before text outside fences; and definitions that the end of the
       response cannot have cut off come before those that it may have.
    3. Where there is a prompt: the prompt with a block, or with the response, as its function's body.
    4. As 2, with a definition that is cut off.

    To a chosen piece go the other pieces that define what it lacks, and the prompt, for its imports and helpers. What
    only shows the program at work is taken out (`without_demonstration`).

    Args:
      response: text of the response.
      names: names of which the program must define at least one: the wanted names.
      prompt: a signature and docstring that the response may complete; empty for none.
      test_names: names that the tests take from the program beside the wanted ones.
    Returns:
      The program; where nothing defines a wanted name, the first piece that is code.
    """
    spoken = without_thinking(response, IN_CODE)
    ways = parts(spoken)
    if prompt and _goes_on(spoken):
        for whole in (_continued(way, prompt, names) for way in ways[:1] + ways[-1:]):
            if whole:
                return without_demonstration(whole, names, test_names, "first")
    groups = [pieces(way) for way in ways]
    for end in (End.CLOSED, End.OPEN):
        if program := _defining(groups, end, names, test_names, prompt):
            return program
    if prompt:
        fragments = [*dict.fromkeys(piece.text for group in groups for piece in group), *ways]
        for whole in (whole for code in fragments for whole in _completed(code, prompt, names)):
            return without_demonstration(whole, names, test_names, "first")
    for end in (End.CUT, End.BODY):
        if program := _defining(groups, end, names, test_names, prompt):
            return program
    code = next((piece.source for group in groups for piece in group if piece.source.strip()), "")
    return without_demonstration(code, names, test_names)


def _defining(
    groups: list[list[Piece]], end: End, names: Collection[str], test_names: Collection[str], prompt: str
) -> str:
    """The program around the piece that counts among those that define a wanted name; empty where none does.

    Args:
      groups: pieces of each part of the response.
      end: manner in which the definition that is meant ends; one before the last of a piece is closed in any case.
    """
    for group in groups:
        defining = [at for at, piece in enumerate(group) if _definitions(piece, end) & set(names)]
        if defining:
            chosen = min(reversed(defining), key=lambda at: group[at].place)
            program = _with_prompt(_with_helpers(group, chosen, names, test_names, prompt), prompt)
            return without_demonstration(program, names, test_names, "last" if group[chosen].end is end else "closed")
    return ""


def _definitions(piece: Piece, end: End) -> set[str]:
    if piece.end is end:
        return defined_names(piece.source)
    return names_before_end(piece.source) if end is End.CLOSED and piece.end is not End.BODY else set()


def closed_prompt(prompt: str) -> str:
    """A prompt as Python: a signature without a docstring gets a body."""
    return prompt if not prompt.strip() or syntax_tree(prompt) else f"{prompt.rstrip()}\n    pass\n"


def _goes_on(response: str) -> bool:
    """Whether a response begins within a function's body."""
    first = next((line for line in response.splitlines() if line.strip()), "")
    return bool(_GOES_ON.match(first)) and not first.strip().startswith(("```", "~~~"))


def _continued(response: str, prompt: str, names: Collection[str]) -> str:
    """The prompt with the response as the body, up to where that stops being Python; empty where it is none."""
    return next(_completed(response, prompt, names), "")


def _completed(code: str, prompt: str, names: Collection[str]) -> Iterator[str]:
    """The prompt with the code as the function's body, in each way in which the function then does something."""
    first, _, rest = code.lstrip("\n").partition("\n")
    bodies = (
        code,
        re.sub(r"^(?=.*\S)", "    ", textwrap.dedent(code), flags=re.MULTILINE),  # textwrap parts at U+2028, too
        f"    {first.strip()}\n{rest}",  # a first line that lost its indentation
    )
    for number, body in enumerate(bodies):
        whole, rest = longest(prompt.rstrip() + "\n" + body.strip("\n") + "\n")
        function = _prompted(whole, prompt, names)
        if function is None:
            continue
        leaves = next((part for part in function.body if isinstance(part, ast.Return | ast.Raise)), None)
        if number == 1 and leaves:  # what runs on behind an unindented body is not the body's
            yield "\n".join(code_lines(whole)[: leaves.end_lineno]) + "\n"
        elif leaves or not goes_on(rest):
            yield whole


def _prompted(source: str, prompt: str, names: Collection[str]) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The prompt's function in a source that begins with the prompt; None where it does nothing but define itself."""
    tree, size = syntax_tree(source), len(code_lines(prompt.rstrip()))
    for node in reversed(tree.body if tree else []):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.lineno <= size and node.name in names:
            inside = any(getattr(part, "name", "") in names for part in node.body)
            return node if does_something(node) and not inside else None
    return None


def _with_helpers(
    group: list[Piece], chosen: int, names: Collection[str], test_names: Collection[str], prompt: str
) -> str:
    """A piece with those others of its part that define what it lacks: the nearest before it, else after it."""
    own = bound_names(group[chosen].source) | bound_names(closed_prompt(prompt))
    lacking = (missing_names(group[chosen].source) | set(names) | set(test_names)) - own
    before: list[int] = []
    after: list[int] = []
    others = [*reversed(range(chosen)), *range(chosen + 1, len(group))]
    progress = True
    while lacking and progress:
        progress = False
        for at in others:
            offer = bound_names(group[at].source)
            if at in (*before, *after) or group[at].place > group[chosen].place or not offer & {*lacking, "*"}:
                continue
            if at > chosen and offer & set(names) & own:  # it would replace the chosen definition
                continue
            (before if at < chosen else after).append(at)
            own |= offer
            lacking = (lacking | missing_names(group[at].source)) - own
            progress = True
    joined = "\n\n".join(group[at].source for at in (*sorted(before), chosen, *sorted(after)))
    return joined if syntax_tree(joined) else group[chosen].source


def _with_prompt(code: str, prompt: str) -> str:
    whole = closed_prompt(prompt).rstrip() + "\n\n" + code
    return whole if prompt and syntax_tree(whole) and "from __future__" not in code else code
