r"""What a response sets apart: answers in \boxed{} or in tags such as <answer>, and reasoning in tags."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

MOST_PLACES = 50  # boxes and tags that are read, from the end

_BOX = re.compile(r"\\f?boxed\b\s*|\\fbox\b\s*|\\framebox\b\s*")
JOINT = re.compile(r"[\s,;.$]*(?:(?:and|or)\b)?[\s,;$]*(?:[a-zA-Z](?:_\d)?\s*=\s*)?(?:\\text\{[^}]*\})?[\s$]*")
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
            and JOINT.fullmatch(text, runs[-1][1], match.start())
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
    places = []
    for match in list(_TAG.finditer(text))[-MOST_PLACES:]:
        content = next((group for group in match.group("inside", "box", "bracket") if group is not None), "").strip()
        if match.end() == len(text) and not match[0].endswith((">", "]")):
            content = content.split("\n\n", 1)[0]
        if not _PLACEHOLDER.fullmatch(content):
            places.append((match.start(), content))
    return places


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
    if end := braces_end(text, start):
        return text[start + 1 : end - 1], end
    line = text[start + 1 :].split("\n", 1)[0]
    return line.rstrip("$. "), start + 1 + len(line)


def braces_end(text: str, start: int) -> int:
    """Where the braces that open at `start` end; 0 where none open or close there."""
    depth = 0
    for place in range(start, len(text) if text.startswith("{", start) else start):
        if text[place] in "{}" and text[max(place - 1, 0) : place] != "\\":
            depth += 1 if text[place] == "{" else -1
            if depth == 0:
                return place + 1
    return 0


@dataclass(frozen=True)
class ThoughtTags:
    """The tags by which reasoning models set their reasoning apart, in one kind of response.

    Attributes:
      opens: pattern of an opening tag.
      closes: pattern of a closing tag.
      closes_alone: pattern of a closing tag that no tag opens; all before the last one is reasoning.
      answer_last: whether all before the last closing tag is reasoning, also what stands before an opening one.
    """

    opens: re.Pattern[str]
    closes: re.Pattern[str]
    closes_alone: re.Pattern[str]
    answer_last: bool


_NAMES = r"think(?:ing)?|thought|reasoning"
_PROSE_END = re.compile(rf"</(?:{_NAMES}|scratchpad)>", re.IGNORECASE)
IN_PROSE = ThoughtTags(re.compile(rf"<(?:{_NAMES}|scratchpad)>", re.IGNORECASE), _PROSE_END, _PROSE_END, True)
_CODE_END = rf"(?:</(?:{_NAMES})>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>)"
# Beside code a tag counts at the start or the end of a line; code that names one has it in quotes.
IN_CODE = ThoughtTags(
    re.compile(rf"^[ \t]*(?:<(?:{_NAMES})>|\[THINK\]|◁think▷|<\|begin_of_thought\|>)", re.MULTILINE | re.IGNORECASE),
    re.compile(_CODE_END, re.IGNORECASE),
    re.compile(rf"{_CODE_END}[ \t]*$|^[ \t]*{_CODE_END}", re.MULTILINE | re.IGNORECASE),
    False,
)


def without_thinking(response: str, thought: ThoughtTags) -> str:
    """A response less its reasoning: between tags for it, before one that closes alone, and after one left open."""
    spoken, at = "", 0
    if thought.answer_last and (closings := list(thought.closes.finditer(response))):
        at = closings[-1].end()
    while opening := thought.opens.search(response, at):
        spoken += response[at : opening.start()]
        closing = thought.closes.search(response, opening.end())
        if closing is None:
            return spoken
        at = closing.end()
    spoken += response[at:]
    closings = list(thought.closes_alone.finditer(spoken))
    return spoken[closings[-1].end() :] if closings else spoken


_STEPS = (
    r"steps?|questions?|problem|exercise|example|equation|schritte?|frage|aufgabe|étapes?|etapes?|exercice|exemple"
    r"|pasos?|pregunta|ejercicio|ejemplo"
)
_PARTS = r"parts?|cases?|items?|methods?|scenario|section|phase|stage|task|teil|fall|partie|cas|parte|caso"
_NUMERAL = r"[(\[]?\d{1,6}(?:\.\d{1,6})*(?![\d/%]|[.,]\d|\s*times\b)[)\]]?"
# "Step 3", "question (2)", "Schritt 2.1", 步骤3, 第3步: a number that names a part, wherever it stands.
_STEP = re.compile(
    rf"\b(?:{_STEPS})\b\s*(?:no\.?|nr\.?|#)?\s*{_NUMERAL}\s*[.:)]?|(?:步骤|第)\s*\d{{1,6}}(?!\d)\s*[步题]?\s*[：:.、]?",
    re.IGNORECASE,
)
# "Case 3:" does so only where the line starts, and where a mark or nothing follows.
_PART = re.compile(rf"(?:{_PARTS})\s*#?\s*{_NUMERAL}[*_\s]*(?:[.:)–—-]|$)", re.IGNORECASE)
_LEAD = re.compile(r"[\s>*_#]*(?:[-+•–]\s+)?[\s*_#]*")  # quotation, bullet, emphasis, heading
_NUMBER = r"([1-9]\d{0,2})"
_ITEM = re.compile(rf"(?:\({_NUMBER}\)|\[{_NUMBER}\]|{_NUMBER}(?:\.\d{{1,2}})?[.):、])(?=\s|[*_]|$)[\s*_]*")
_ALONE = re.compile(rf"[(\[]?{_NUMBER}[.):、\]]{{0,2}}[\s*_]*")
_BULLET = re.compile(r"[\s>]*[-+•*–]\s+(?=\S)")
_REASON = re.compile(r"(?:this|that|it)\s+is\b|(?:because|since|explanation|reason)\b", re.IGNORECASE)
_ANNOUNCES = re.compile(r"(?<!\bis)(?<!\bare)(?<!=)\s*[:：][\s*_]*$")
_OPERATOR = re.compile(r"(?:[+=×÷/(^\\]|\s[-−–*]|(?<=\d)[-−]|\\(?:times|cdot|div|d?frac|left|approx|text|sqrt))[\s$]*$")


def without_steps(text: str) -> str:
    """`text` without the numbers that name a part of the working, such as "Step 3:"."""
    return _STEP.sub(" ", text)


def without_marker(line: str, before: Sequence[str] = ()) -> str:
    """What a line says behind its list marker or heading; empty where it says nothing more.

    A marker alone on its line ("11.") is an answer, and so comes back, unless it goes on with a list: the item before
    it stands further up, or a line that ends in a colon announces its first. "11. Because ..." states 11, too, where
    no item 10 is to be seen.

    Args:
      line: the line of a response.
      before: the lines above it, in their order, none of them empty.
    """
    if end := _heading_end(line):
        return line[end:].strip(" \t*_-–—:.")
    start = _start(line)
    if alone := _ALONE.fullmatch(line, start):
        counts = _continues(int(alone[1]), before) or alone[0].rstrip("*_ \t").endswith(":")
        return "" if counts else alone[0].rstrip("*_ \t")
    if item := _ITEM.match(line, start):
        rest = line[item.end() :]
        return line if _REASON.match(rest) and not _continues(_number(item), before) else rest
    bullet = _BULLET.match(line)
    return line[bullet.end() :] if bullet else line


def starts_list(text: str) -> bool:
    """Whether `text` starts with the first item of a list, or with the heading of a part."""
    line = text.lstrip().split("\n", 1)[0]
    if _heading_end(line):
        return True
    item = _ITEM.match(line, _start(line))
    return item is not None and _number(item) == 1 and bool(line[item.end() :].strip())


def is_item(line: str) -> bool:
    """Whether a line is an item of a list or the heading of a part, with more behind its number."""
    item = _ITEM.match(line, _start(line))
    return bool(_heading_end(line)) or (item is not None and bool(line[item.end() :].strip()))


def unfinished(text: str) -> bool:
    r"""Whether a text breaks off within a computation: behind an operator, or in a formula that nothing closes."""
    line = text.rstrip().rpartition("\n")[2]
    if _OPERATOR.search(line) or (line.endswith("*") and line.count("*") % 2):
        return True
    if line.count("{") > line.count("}"):
        return True
    opened = max(text.rfind("\\["), text.rfind("\\("), text.rfind("$$") if text.count("$$") % 2 else -1)
    return opened > max(text.rfind("\\]"), text.rfind("\\)")) and "\n\n" not in text[opened:]


def _continues(number: int, before: Sequence[str]) -> bool:
    """Whether a list goes on with `number`: its last item or heading has the one before, or its opening stands last."""
    if number == 1:
        return bool(before) and bool(_ANNOUNCES.search(before[-1]) or _heading_end(before[-1]))
    items = [_number(item) for text in before if (item := _ITEM.match(text, _start(text)))]
    headings = [int(re.findall(r"\d+", text[:end])[-1]) for text in before if (end := _heading_end(text))]
    return number - 1 in (*items[-1:], *headings[-1:])


def _heading_end(line: str) -> int:
    """Where the heading of a part ends at the start of a line; 0 where none stands there."""
    start = _start(line)
    match = _STEP.match(line, start) or _PART.match(line, start)
    return match.end() if match else 0


def _number(item: re.Match[str]) -> int:
    return int(next(group for group in item.groups() if group))


def _start(line: str) -> int:
    """Where a line's words start, behind what marks it as a quotation, a bullet or a heading."""
    match = _LEAD.match(line)
    return match.end() if match else 0
