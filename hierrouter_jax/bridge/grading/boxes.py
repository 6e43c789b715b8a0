r"""Answers that a response sets apart: \boxed{}, and tags such as <answer></answer>."""

import re

MOST_PLACES = 50  # boxes and tags that are read, from the end

_BOX = re.compile(r"\\f?boxed\b\s*|\\fbox\b\s*|\\framebox\b\s*")
_JOINT = re.compile(r"[\s,;.$]*(?:(?:and|or)\b)?[\s,;$]*(?:[a-zA-Z](?:_\d)?\s*=\s*)?(?:\\text\{[^}]*\})?[\s$]*")
# Without a brace, TeX boxes one thing: a number, a command with its arguments, a letter that no word goes on from.
_BARE = re.compile(r"[-+]?\.?\d[^\s$]*|\\[a-zA-Z]+[^\s$]*|[a-zA-Z](?=\s*(?:[$.,;)\\]|\n|$))")
_PLACEHOLDER = re.compile(
    r"(?:\\text\s*\{)?\s*(?:\.{2,}|…|\\[lc]?dots|(?:your|the|final|my|numeric(?:al)?)?[\s_-]*answer(?:[\s_-]*here)?|and|or|result|)\s*\}?",
    re.IGNORECASE,
)
_TAG = re.compile(
    r"<(?P<tag>final[ _]answer|answer|ans)>(?P<inside>(?:(?!<(?P=tag)>).)*?)(?:</(?P=tag)>|\Z)"
    r"|<\|begin_of_box\|>(?P<box>.*?)(?:<\|end_of_box\|>|\Z)"
    r"|\[answer\](?P<bracket>.*?)(?:\[/answer\]|\Z)",
    re.IGNORECASE | re.DOTALL,
)


def boxes(text: str) -> list[tuple[int, str]]:
    """Position and content of each run of boxes; boxes that only a comma or an and/or parts are one run.

    A box that is only named ("put it in \\boxed{}", "\\boxed as asked") holds nothing.
    """
    runs: list[tuple[int, int, str]] = []
    for match in list(_BOX.finditer(text))[-MOST_PLACES:]:
        if runs and match.start() < runs[-1][1]:
            continue  # a box in a box
        content, end = _argument(text, match.end())
        if inner := _BOX.match(content):
            content = _argument(content, inner.end())[0]
        if _PLACEHOLDER.fullmatch(content.strip()):
            continue
        if (
            runs
            and _JOINT.fullmatch(text, runs[-1][1], match.start())
            and "\n\n" not in text[runs[-1][1] : match.start()]
        ):
            start, _, before = runs.pop()
            content = before if content.strip() == before else f"{before}, {content.strip()}"
            runs.append((start, end, content))
        else:
            runs.append((match.start(), end, content.strip()))
    return [(start, content) for start, _, content in runs]


def tags(text: str) -> list[tuple[int, str]]:
    """Position and content of each answer tag; one that nothing closes reaches to the end of its paragraph."""
    found = []
    for match in list(_TAG.finditer(text))[-MOST_PLACES:]:
        content = next((group for group in match.group("inside", "box", "bracket") if group is not None), "").strip()
        if match.end() == len(text) and not match[0].endswith((">", "]")):
            content = content.split("\n\n", 1)[0]
        if not _PLACEHOLDER.fullmatch(content):
            found.append((match.start(), content))
    return found


def last_box(text: str) -> str | None:
    """Content of the last box alone that holds something, as a worked solution's answer is meant; None without one."""
    contents = (_argument(text, match.end())[0].strip() for match in reversed(list(_BOX.finditer(text))))
    return next((content for content in contents if content), None)


def names_box(text: str) -> bool:
    """Whether a text has a box in it, be it an empty one."""
    return bool(_BOX.search(text))


def _argument(text: str, start: int) -> tuple[str, int]:
    """The LaTeX argument at `start` and where it ends; a brace that never closes reaches to the end of its line."""
    if not text.startswith("{", start):
        match = _BARE.match(text, start)
        return (match[0].rstrip(".,"), match.end()) if match else ("", start)
    depth = 0
    for place in range(start, len(text)):
        if text[place] in "{}" and text[max(place - 1, 0) : place] != "\\":
            depth += 1 if text[place] == "{" else -1
            if depth == 0:
                return text[start + 1 : place], place + 1
    line = text[start + 1 :].split("\n", 1)[0]
    return line.rstrip("$. "), start + 1 + len(line)
