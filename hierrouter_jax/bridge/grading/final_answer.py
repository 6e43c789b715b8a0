"""Where in a response its final answer stands: the last place that commits to one."""

import re
from dataclasses import dataclass

from hierrouter_jax.bridge.grading.list_markers import is_item, starts_list, unfinished, without_marker

LONGEST = 20_000  # characters from the end that are read; an answer before that is no final answer
MOST_PLACES = 50  # boxes and phrases that are read, from the end
_REACH = 2_000  # characters of a formula or a sentence
MARKS = ("boxed", "hashes", "phrase")  # markers that a writer sets on purpose

_BOX = re.compile(r"\\f?boxed\b\s*|\\fbox\b\s*")
_HASHES = re.compile(r"####[ \t]*([^\n]+)")
_VERB = r"\b(?:is|are|was|were|would be|should be|must be|will be|equals|becomes)\b"
_PHRASE = re.compile(
    rf"\b(?:(?:(?:final|correct|corrected|actual|right)\s+)?answers?\b(?:[^.\n:=]|\.(?=\d)){{0,80}}?(?:{_VERB}|:|=)"
    rf"|(?:results?|solutions?)\b(?:[^.\n:=]|\.(?=\d)){{0,80}}?{_VERB})[\s:*]*",
    re.IGNORECASE,
)
_INSISTS = re.compile(r"(?:final|correct|corrected|actual|right)\s+answer", re.IGNORECASE)
# What the text after such a phrase starts with where it states a number or a formula, rather than goes on talking.
_LEAD = r"(?:(?:approximately|about|exactly|simply|just|still|now|indeed|therefore|thus|so|hence|then|that)\b,?|\s)*"
_STATES = re.compile(
    rf"{_LEAD}[$£€*(\[{{\\\s]*[-+−]?[$£€]?(?:\.?\d|\\(?:d?frac|sqrt|pi|text|infty|begin)|[a-zA-Z]\s*=)", re.IGNORECASE
)
_START = re.compile(_LEAD, re.IGNORECASE)
_FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\\$])\$((?:\\\$|[^$\n])+)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_JOINT = re.compile(r"[\s,;.$]*(?:(?:and|or)\b)?[\s,;$]*(?:[a-zA-Z](?:_\d)?\s*=\s*)?(?:\\text\{[^}]*\})?[\s$]*")
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_PLEASANTRY = re.compile(
    r"\W*(?:let me know|i hope|feel free|please let|if you (?:have|need|want|would))", re.IGNORECASE
)
_SENTENCE_END = re.compile(
    r"\n|[.?](?=\s|$)|!(?=\s+[A-Z]|\s*$)"
    r"|,?\s+(?:because|since|which|where|assuming|given that|rounded|rather than)\b|\s+\((?=[a-z]{3})"
)
_SAYS = re.compile(r"\b(?:is|are|was|were|equals?|be|has|have)\s+|=\s*")


@dataclass(frozen=True)
class FinalAnswer:
    r"""What a response commits to.

    Attributes:
      text: the answer as it is written there, without the marker around it; empty where there is none.
      marker: what marks it: boxed, hashes, phrase, bold or line; empty where there is none.
    """

    text: str
    marker: str


def final_answer(response: str) -> FinalAnswer:
    r"""The last committed answer of a response.

    A `\boxed{}`, a `#### ` and a phrase ("the answer is") that states a number or a formula are
    commitments; the last one stands, so that a response may correct itself; only, after a box a phrase must say
    that its answer is the final or the right one. Without any, a phrase followed by words; then bold text in the
    last paragraph; then the last line. Several boxes in one breath ("\boxed{2} or \boxed{3}") are one list.
    """
    tail = spoken(response)
    found = [(start, FinalAnswer(text, "boxed")) for start, text in boxes(tail)]
    boxed = found[-1][0] if found else -1
    found += [
        (match.start(), FinalAnswer(match[1].strip(), "hashes"))
        for match in _HASHES.finditer(tail)
        if not is_item(match[1])  # "#### Step 3: Add them" is a heading
    ]
    phrases = [
        (match.start(), match.end())
        for match in _PHRASE.finditer(tail)
        if "\n" not in match[0] or not starts_list(tail[match.end() :])  # "Answer:" over a list of steps
    ][-MOST_PLACES:]
    for start, end in phrases:
        if start > boxed >= 0 and not _INSISTS.match(tail, start):
            continue
        if _STATES.match(tail, end) and not _BOX.search(tail[end:].split("\n\n", 1)[0]):
            found.append((start, FinalAnswer(_stated(tail[end:]), "phrase")))
    if found:
        return max(found, key=lambda place: place[0])[1]
    for _, end in reversed(phrases):
        if text := _stated(tail[end:]):
            return FinalAnswer(text, "phrase")
    return last_line(tail)


def boxes(text: str) -> list[tuple[int, str]]:
    """Position and content of each run of boxes; boxes that only a comma or an and/or parts are one run."""
    runs: list[tuple[int, int, str]] = []
    for match in list(_BOX.finditer(text))[-MOST_PLACES:]:
        if runs and match.start() < runs[-1][1]:
            continue  # a box in a box
        content, end = _argument(text, match.end())
        if inner := _BOX.match(content):
            content = _argument(content, inner.end())[0]
        if not content.strip():
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


def last_box(text: str) -> str | None:
    """Content of the last box alone that holds something, as a worked solution's answer is meant; None without one."""
    contents = (_argument(text, match.end())[0].strip() for match in reversed(list(_BOX.finditer(text))))
    return next((content for content in contents if content), None)


def last_line(response: str) -> FinalAnswer:
    """What the last line says, in bold or in a formula if anywhere; offers of further help are passed over.

    The number of a list's item or of a step is no part of it, and a line that breaks off in a computation says nothing.
    """
    lines = [line.strip() for line in spoken(response).split("\n") if line.strip()]
    while len(lines) > 1 and _PLEASANTRY.match(lines[-1]):
        lines.pop()
    if not lines or unfinished(spoken(response)):
        return FinalAnswer("", "")
    line = without_marker(lines[-1], lines[:-1])
    if bold := [part for part in _BOLD.findall(line) if not part.endswith(":")]:
        return FinalAnswer(bold[-1].strip(), "bold")
    line = line[-_REACH:]
    said = [match.end() for match in _SAYS.finditer(line) if _STATES.match(line, match.end())]
    return FinalAnswer(_formulas(line, at_start=False) or _stated(line[said[-1] :] if said else line), "line")


def spoken(response: str) -> str:
    """The end of a response, without the reasoning that some models set apart in <think> tags."""
    return response[-LONGEST:].rpartition("</think>")[2].strip()


def _argument(text: str, start: int) -> tuple[str, int]:
    """The LaTeX argument at `start` and where it ends; a brace that never closes reaches to the end of its line."""
    if not text.startswith("{", start):
        match = re.compile(r"[^\s$]*").match(text, start)
        return (match[0].rstrip(".,"), match.end()) if match else ("", start)
    depth = 0
    for place in range(start, len(text)):
        if text[place] in "{}" and text[max(place - 1, 0) : place] != "\\":
            depth += 1 if text[place] == "{" else -1
            if depth == 0:
                return text[start + 1 : place], place + 1
    line = text[start + 1 :].split("\n", 1)[0]
    return line.rstrip("$. "), start + 1 + len(line)


def _stated(text: str) -> str:
    """The answer at the start of `text`: formulas joined by and/or, or else the rest of the sentence."""
    text = text[:_REACH].lstrip(" *:\n\t")
    if lead := _START.match(text):
        text = text[lead.end() :]
    if formulas := _formulas(text, at_start=True):
        return formulas
    end = _SENTENCE_END.search(text)
    return (text[: end.start()] if end else text).strip(" *")


def _formulas(text: str, at_start: bool) -> str:
    """The first (or else the last) run of formulas, joined by commas; empty where there is none."""
    runs: list[tuple[int, int, str]] = []
    for match in _FORMULA.finditer(text):
        content = next(group for group in match.groups() if group).strip()
        if runs and _JOINT.fullmatch(text, runs[-1][1], match.start()):
            start, _, before = runs.pop()
            runs.append((start, match.end(), f"{before}, {content}"))
        elif at_start and (runs or text[: match.start()].strip(" *")):
            break
        else:
            runs.append((match.start(), match.end(), content))
    if not runs:
        return ""
    return runs[0 if at_start else -1][2]
