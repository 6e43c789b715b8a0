"""Where in a response its final answer stands: the last place that commits to one."""

import re
from dataclasses import dataclass

from hierrouter_jax.bridge.grading.markup import (
    JOINT,
    MOST_PLACES,
    boxes,
    is_item,
    names_box,
    starts_list,
    tags,
    unfinished,
    without_marker,
)
from hierrouter_jax.bridge.grading.phrases import INSISTS, NOT, announcements, denied, first_question, spoken

_REACH = 2_000  # characters of a formula or a sentence
MARKS = ("boxed", "tagged", "hashes", "phrase")  # markers that a writer sets on purpose

_HASHES = re.compile(r"####[ \t]*([^\n]+)")
# What the text after such a phrase starts with where it states a number or a formula, rather than goes on talking.
_LEAD = (
    r"(?:(?:approximately|about|exactly|simply|just|still|now|indeed|therefore|thus|so|hence|then|that"
    r"|also|genau|etwa|ungefähr|donc|environ|exactement|aproximadamente|exactamente)\b,?|(?:大约|约|等于)|\s)*"
)
_STATES = re.compile(
    rf"{_LEAD}(?:minus|negative)?[$£€¥*(\[{{\\\s]*[-+−]?[$£€¥]?"
    r"(?:\.?\d|[½⅓⅔¼¾√π]|\\(?:d?frac|sqrt|pi|text|infty|begin|math)|[a-zA-Z]\s*=)",
    re.IGNORECASE,
)
_START = re.compile(_LEAD, re.IGNORECASE)
# A dollar before a digit closes no formula: "$90 x 40 = $3600" are two prices.
_FORMULA = re.compile(
    r"\$\$(.+?)\$\$|(?<![\\$])\$((?:\\\$|[^$\n])+)(?<!\\)\$(?!\d)|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL
)
_TAGS = re.compile(r"</?[a-zA-Z_ |]+>")
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_PLEASANTRY = re.compile(
    r"\W*(?:let me know|i hope|feel free|please let|if you (?:have|need|want|would))", re.IGNORECASE
)
_SENTENCE_END = re.compile(
    r"\n|[.?](?=\s|$)|!(?=\s+[A-Z]|\s*$)"
    r"|(?<=[\d$)}\]])\s*(?![千万億亿])[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]"  # what is counted, in the far east
    r"|,?\s+(?:because|since|which|where|assuming|given that|rounded|rather than)\b|\s+\((?=[a-z]{3})"
)
_SAYS = re.compile(r"\b(?:is|are|was|were|equals?|be|has|have|ist|sind|est|sont|vaut|es|son)\s+|=\s*|:\s+|[是为]\s*")


@dataclass(frozen=True)
class FinalAnswer:
    r"""What a response commits to.

    Attributes:
      text: the answer as it is written there, without the marker around it; empty where there is none.
      marker: kind of mark on it: boxed, tagged, hashes, phrase, bold or line; empty where there is none.
    """

    text: str
    marker: str


def final_answer(response: str) -> FinalAnswer:
    r"""The last committed answer of a response.

    A `\boxed{}`, an `<answer>` tag, a `#### ` and a phrase ("the answer is") that states a number or a formula are
    commitments; the last one stands, so that a response may correct itself; only, after a box a phrase must say
    that its answer is the final or the right one. Without any, a phrase followed by words; then bold text in the
    last paragraph; then the last line. Several boxes in one breath ("\boxed{2} or \boxed{3}") are one list.
    """
    return _final(own_part(response))


def own_part(response: str) -> str:
    """What a response says to the question that it was asked: its spoken end, up to any question of its own."""
    return first_question(spoken(response), _answers)


def _final(tail: str) -> FinalAnswer:
    announced = [
        (match.start(), end)
        for match in announcements(tail)
        if (end := len(tail) - len(tail[match.end() :].lstrip(" \t\n:*")))
        and not ("\n" in tail[match.start() : end] and starts_list(tail[end:]))  # "Answer:" over a list of steps
    ][-MOST_PLACES:]
    if commitments := _commitments(tail, announced):
        return max(commitments, key=lambda place: place[0])[1]
    for _, end in reversed(announced):
        if not NOT.match(tail, end) and (text := _stated(tail[end:])):
            return FinalAnswer(text, "phrase")
    return FinalAnswer("", "") if denied(tail.rpartition("\n")[2]) else last_line(tail)


def _commitments(tail: str, announced: list[tuple[int, int]]) -> list[tuple[int, FinalAnswer]]:
    """Where the response commits to a number or a formula, and to which."""
    places = [(start, FinalAnswer(text, "boxed")) for start, text in boxes(tail)]
    places += [(start, _tagged(text)) for start, text in tags(tail)]
    boxed = max((start for start, _ in places), default=-1)
    places += [
        (match.start(), FinalAnswer(match[1].strip(), "hashes"))
        for match in _HASHES.finditer(tail)
        if not is_item(match[1])  # "#### Step 3: Add them" is a heading
    ]
    for start, end in announced:
        if start > boxed >= 0 and not INSISTS.match(tail, start):
            continue
        if _STATES.match(tail, end) and not names_box(tail[end:].split("\n\n", 1)[0]):
            places.append((start, FinalAnswer(_stated(tail[end:]), "phrase")))
    return places


def _tagged(content: str) -> FinalAnswer:
    """What a tag holds: its box, or what its phrase or its last line says where it holds more than a line."""
    if inner := boxes(content):
        return FinalAnswer(inner[-1][1], "boxed")
    talks = "\n" in content or announcements(content)
    return FinalAnswer(_final(_TAGS.sub("", content)).text if talks else content, "tagged")


def _answers(text: str) -> bool:
    """Whether a text gives an answer, so that a question behind it is another one."""
    if text.endswith(":"):
        return False
    answer = _final(text)
    return answer.marker in MARKS or bool(re.search(r"\d", answer.text))


def last_line(text: str) -> FinalAnswer:
    """What the last line of a spoken text says, in bold or in a formula if anywhere.

    Offers of further help are passed over. The number of a list's item or of a step is no part of it, and a line that
    breaks off in a computation says nothing.
    """
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    while len(lines) > 1 and _PLEASANTRY.match(lines[-1]):
        lines.pop()
    if not lines or unfinished(text):
        return FinalAnswer("", "")
    line = without_marker(lines[-1], lines[:-1])
    if bold := [part for part in _BOLD.findall(line) if not part.endswith(":")]:
        return FinalAnswer(bold[-1].strip(), "bold")
    line = line[-_REACH:]
    ends = [match.end() for match in _SAYS.finditer(line) if _STATES.match(line, match.end())]
    return FinalAnswer(_formulas(line, at_start=False) or _stated(line[ends[-1] :] if ends else line), "line")


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
        if runs and JOINT.fullmatch(text, runs[-1][1], match.start()):
            start, _, before = runs.pop()
            runs.append((start, match.end(), f"{before}, {content}"))
        elif at_start and (runs or text[: match.start()].strip(" *")):
            break
        else:
            runs.append((match.start(), match.end(), content))
    if not runs:
        return ""
    return runs[0 if at_start else -1][2]
