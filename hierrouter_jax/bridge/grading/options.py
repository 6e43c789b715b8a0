"""Which option of a multiple-choice question a text commits to."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hierrouter_jax.bridge.grading.boxes import boxes
from hierrouter_jax.bridge.grading.spoken import spoken

# What stands between a commitment and its option: markup, quotes, brackets, "option".
_WRAP = r"[\s*_\"'“”`$\\(\[{:]{0,16}"
_NAMING = r"definitely|probably|most likely|clearly|simply|the|option|choice|letter|answer|number|text|math\w\w|textbf"
_LABEL_LEAD = rf"{_WRAP}(?:(?:{_NAMING})\b{_WRAP})*"
_LEAD = re.compile(rf"{_WRAP}(?:(?:{_NAMING}|therefore|thus|an?|boxed)\b{_WRAP})*", re.IGNORECASE)
_COMMITS = re.compile(
    r"\b(?:answer|solution|response"
    r"|(?:correct|right|best|final|most accurate)\s+(?:option|choice|statement|one|letter|selection))\b"
    r"(?:(?:\*\*|[^.\n?!:=]){0,60}?)(?:\b(?:is|would be|should be|must be|has to be|remains)\b|:|=|->|→)"
    r"|\b(?:choose|chose|pick|select|selecting|go(?:ing)? with|opt for|guess(?: is)?|settle on)\b",
    re.IGNORECASE,
)
_NOT = re.compile(r"[\s*]*(?:definitely|certainly|clearly)?[\s*]*(?:not\b|n't|neither\b|never\b)", re.IGNORECASE)
_NEGATED = re.compile(
    r"\bnot\b|n't\b|\bincorrect\b|\bwrong\b|\bfalse\b|\brul(?:e|es|ed|ing) out\b|\beliminat|\bexclud|\bexcept\b"
    r"|\bcannot\b|\bneither\b|\brather than\b|\binstead of\b|\bunlike\b",
    re.IGNORECASE,
)
_JUDGED = (
    r"(?:is|are|seems|appears|looks|must be|would be)\s+(?:to be\s+)?(?:the\s+)?(?:only\s+|most\s+|clearly\s+)?"
    r"(?:likely\s+|accurate\s+)?(?:correct|right|best|answer|true one)\b"
)
_REFUSES = re.compile(
    r"none of the(?:se| above| options| choices| given| answers| provided| listed)"
    r"|no(?:ne)? (?:correct )?(?:option|choice|answer)s? (?:is|are) (?:correct|right|given|listed)"
    r"|\b(?:i|we) (?:can(?:not|'t| not)|(?:do not|don't) know|(?:am|are) (?:unable|not able))"
    r"|\bi'm (?:unable|not able|sorry)"
    r"|\bunable to (?:answer|determine)|cannot be (?:answered|determined)|not (?:listed|among the)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[^\W_][^\W_][.!?])\s+|(?<=\)[.!?])\s+")
# After "A" these go on about the option; any other lower-case word makes it an article.
_GOES_ON = re.compile(r"\s+(?:because|since|as|for|due|given|based|which|that|with|is|and|or|but|in|from|by|on)\b")


@dataclass(frozen=True)
class Commitment:
    """What a text commits to.

    Attributes:
      label: of the option; empty where it commits to none.
      written: the words that do it.
      reason: why there is no label: `no answer`, `several`, `refusal`; empty otherwise.
    """

    label: str
    written: str
    reason: str = ""


@dataclass(frozen=True)
class Options:
    """The options of one question, and how they are found in a text.

    Attributes:
      texts: by label, in their order.
    """

    texts: Mapping[str, str]
    _label: str = field(init=False, repr=False)
    _normal: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        labels = "|".join(re.escape(label) for label in self.texts)
        object.__setattr__(self, "_label", f"(?:{labels})")
        normal = {label: normalised(text) for label, text in self.texts.items()}
        object.__setattr__(self, "_normal", {label: text for label, text in normal.items() if text})

    def commitment(self, response: str) -> Commitment:
        """The last option that a response commits to.

        Commitments are a box, "the answer is", "I choose", "B is correct", an opening or closing line of its
        own, bold in the last paragraph. Without any: the one option that the last line names or quotes,
        unless it denies or refuses. "The answer is A or B" names several; "the answer is none of these" none.
        """
        text = spoken(response)
        found = sorted(self._commitments(text), key=lambda place: place[0])
        refusal = self._refusal(text, found[-1][0] if found else 0)
        if refusal:
            return Commitment("", refusal, "refusal")
        return found[-1][1] if found else self._named(text)

    def _commitments(self, text: str) -> Iterator[tuple[int, Commitment]]:
        for start, content in boxes(text):
            if resolved := self._resolve(content):
                yield start, resolved
        for match in _COMMITS.finditer(text):
            if not _NOT.match(text, match.end()) and (resolved := self._resolve(text[match.end() :][:600])):
                yield match.start(), resolved
        judged = re.compile(
            rf"(?<![\w'’])(?:(?:option|choice|answer|statement)\s+)?[(*\[]{{0,4}}({self._label})[)*\].:]{{0,4}}\s+{_JUDGED}",
            0,
        )
        for match in judged.finditer(text):
            yield match.start(), Commitment(match[1], match[0])
        yield from self._lines(text)
        yield from self._bold(text)

    def _resolve(self, text: str) -> Commitment | None:
        """The option at the start of `text`: its own words, or its label."""
        lead = _LEAD.match(text)
        bare = re.compile(_WRAP).match(text)
        for start in dict.fromkeys(match.end() for match in (bare, lead) if match):
            if label := self._quoted_at(text[start:]):
                return Commitment(label, self.texts[label])
        label = rf"{_LABEL_LEAD}({self._label})(?![\w'’-]|\.\d)"
        match = re.compile(label, re.IGNORECASE).match(text)
        if not match:
            return None
        label, rest = match[1], text[match.end() :]
        if label not in self.texts:  # a lower-case letter, or none of ours
            label = label.upper()
            article = re.match(r"[}*\"',]*\s+[a-zA-Z]", rest)  # "a matter of taste"; but "b) is" and "b." are labels
            if label not in self.texts or article:
                return None
        elif label in "AI" and re.match(r"\s+[a-z]", rest) and not _GOES_ON.match(rest):
            return None
        second = re.match(
            rf"[)\]*}}\"'\s]*(?:,|/|\bor\b|\band\b|&)\s*(?:option\s+)?[(*\[]*({self._label})(?![\w'’])", rest
        )
        if second and second[1] != label:
            return Commitment("", match[0].strip() + second[0], "several")
        return Commitment(label, label)

    def _quoted_at(self, text: str) -> str:
        """The option whose words `text` starts with, the longest first; labels are no words."""
        start = normalised(text)
        for label, words in sorted(self._normal.items(), key=lambda item: -len(item[1])):
            if words.upper() not in self.texts and re.match(rf"{re.escape(words)}(?!\w|[.,]\d)", start):
                return label
        return ""

    def _lines(self, text: str) -> Iterator[tuple[int, Commitment]]:
        """An opening or closing line that is a label, or starts with one; not where it is one of a list of options."""
        lines = [match for match in re.finditer(r"[^\n]+", text) if match[0].strip()]
        alone = re.compile(rf"{_WRAP}({self._label})(?:[)\]*}}.:\s$]*$|[)\]*]*\s*[.):]\s*[*]*\s*\S)")
        single = re.compile(rf"[\s*(\[]*({self._label})[\s*)\].]*", re.IGNORECASE)
        starts = [alone.match(line[0]) for line in lines]
        for place in {0, len(lines) - 1} if lines else ():
            match, around = starts[place], starts[max(place - 1, 0) : place] + starts[place + 1 : place + 2]
            if match and not any(other and other[1] != match[1] for other in around):
                yield lines[place].start(), Commitment(match[1], lines[place][0].strip()[:80])
            elif len(lines) == 1 and (match := single.fullmatch(lines[0][0])) and match[1].upper() in self.texts:
                yield lines[0].start(), Commitment(match[1].upper(), lines[0][0].strip())

    def _bold(self, text: str) -> Iterator[tuple[int, Commitment]]:
        start = text.rfind("\n\n") + 1
        pattern = re.compile(rf"\*\*[\s(\[]*(?:[Oo]ption\s+)?({self._label})(?:[)\].:\s]*\*\*|[).:\]][^*\n]*\*\*)")
        found = list(pattern.finditer(text, start))
        if found and len({match[1] for match in found}) == 1 and not self._denied(text, found[-1]):
            yield found[-1].start(), Commitment(found[-1][1], found[-1][0])

    def _denied(self, text: str, match: re.Match[str]) -> bool:
        before = text[max(match.start() - 25, 0) : match.start()]
        return bool(_NEGATED.search(before.rpartition(".")[2]) or _NEGATED.search(text[match.end() : match.end() + 20]))

    def _refusal(self, text: str, start: int) -> str:
        """Words that decline to choose, after the last commitment and in no option's text; empty if none."""
        refusals = [match[0] for match in _REFUSES.finditer(text, start)]
        if not refusals or any(normalised(refusals[-1]) in words for words in self._normal.values()):
            return ""
        return refusals[-1]

    def _named(self, text: str) -> Commitment:
        """The one option that the last sentence with any names in brackets, or as "option B", or quotes."""
        lines = [line for line in text.split("\n") if line.strip()]
        listed = [re.match(rf"{_WRAP}({self._label})[)\].:]", line) for line in lines[-2:]]
        if len(listed) == 2 and all(listed):  # the options, written out again
            return Commitment("", "", "no answer")
        for sentence in reversed(_SENTENCE.split(lines[-1]) if lines else []):
            labels = re.findall(rf"[(\[]({self._label})[)\]]|\b(?:[Oo]ption|[Cc]hoice)\s+({self._label})\b", sentence)
            names = {first or second for first, second in labels} or self._quotes(sentence)
            if names and _NEGATED.search(sentence):
                break
            if len(names) == 1:
                return Commitment(next(iter(names)), sentence[-200:])
            if names:
                return Commitment("", sentence[-200:], "several")
        return Commitment("", "", "no answer")

    def _quotes(self, line: str) -> set[str]:
        """Options whose words stand in a line; one that lies within another found one does not count."""
        words = normalised(line)
        found = {
            label: text
            for label, text in self._normal.items()
            if text.upper() not in self.texts and re.search(rf"(?<!\w)(?<!\d[.,]){re.escape(text)}(?!\w|[.,]\d)", words)
        }
        return {
            label
            for label, text in found.items()
            if not any(text != other and text in other for other in found.values())
        }


def normalised(text: str) -> str:
    """Lower case, one space, no markup, no quotes, no full stop at the end."""
    plain = re.sub(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^}]*)\}", r"\1", text)
    return re.sub(r"\s+", " ", re.sub(r"[*_`$\"“”]|\\[()\[\]]", "", plain)).strip().rstrip(".").lower().strip()
