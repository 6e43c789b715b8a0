"""Which option of a multiple-choice question a text commits to."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hierrouter_jax.bridge.grading.markup import boxes, tags, unfinished
from hierrouter_jax.bridge.grading.phrases import AFFIRMS, NOT, REFUSES, RETRACTS, choices, first_question, spoken

# What stands between a commitment and its option: markup, quotes, brackets, "option".
_QUOTES = "\"'“”„‚‘’«»‹›「」『』【】《》`"
_WRAP = rf"[\s*_{_QUOTES}<$\\(\[{{:]{{0,16}}"
_NAMING = (
    r"definitely|probably|most likely|clearly|simply|the|option|choice|letter|answer|number|text|math\w\w|textbf"
    r"|antwort|die|der|das|also|daher|la|el|l['’]|opción|réponse|donc|opzione|opção|optie"
)
_EAST = "选项|选择|选|選択肢"
_LABEL_LEAD = rf"{_WRAP}(?:(?:(?:{_NAMING})\b|{_EAST}){_WRAP})*"
_LEAD = re.compile(rf"{_WRAP}(?:(?:{_NAMING}|therefore|thus|an?|boxed)\b{_WRAP})*", re.IGNORECASE)
# What must not follow a label: the rest of a word ("B2", "A-level", "A's"), or of a decimal.
_EDGE = r"(?![A-Za-z0-9\u00c0-\u024f]|[-'’][A-Za-z0-9]|\.\d|_[A-Za-z0-9])"
_CLOSE = rf"[)\]*_}}.:>\s${_QUOTES}]*"
# "So it is C": weaker than an announcement, and only where nothing but a reason follows.
_HENCE = (
    r"(?<!if )(?<!whether )(?<!say )"
    r"(?:\b(?:it|this|that)(?:\s+(?:is|must\s+be|should\s+be|would\s+be|has\s+to\s+be)|['’]s)"
    r"|\b(?:so|hence|thus|therefore|daher|donc|por\s+lo\s+tanto|also|c['’]est|es\s+ist)\b,?|因此|所以|故)"
)
_REASON = (
    rf"(?=[)\]*_}}>\s{_QUOTES}]*(?:$|[.,;!)\n]|\(|\b(?:rather|because|since|as|instead|and\s+not|not|over|here)\b))"
)
_NEGATED = re.compile(
    r"\bnot\b|n['’]t\b|\bincorrect\b|\bwrong\b|\bfalse\b|\brul(?:e|es|ed|ing) out\b|\beliminat|\bexclud|\bexcept\b"
    r"|\bcannot\b|\bneither\b|\bnicht\b|\bfalsch\b|\bpas\b|\bno es\b|不",
    re.IGNORECASE,
)
# What says behind an option that it is not the one.
_WRONG = re.compile(
    r"\W{0,4}(?:is|was|can|would|could|does|ist|est|es)?\s*(?:clearly\s+)?"
    r"(?:not\b|n['’]t\b|cannot\b|incorrect\b|wrong\b|false\b|nicht\b|falsch\b)",
    re.IGNORECASE,
)
_INSTEAD = re.compile(
    r"\b(?:rather than|instead of|unlike|as opposed to|and not|over|statt|plutôt que|en lugar de)\b.*"
)
_SENTENCE = re.compile(r"(?<=[^\W_][^\W_][.!?])\s+|(?<=\)[.!?])\s+")
# After "A" these go on about the option; any other lower-case word makes it an article.
_GOES_ON = re.compile(r"\s+(?:because|since|as|for|due|given|based|which|that|with|is|and|or|but|in|from|by|on)\b")


@dataclass(frozen=True)
class Commitment:
    """What a text commits to.

    Attributes:
      label: label of the option; empty where it commits to none.
      written: the words that commit to it.
      reason: reason why there is no label: `no answer`, `several`, `refusal`; empty otherwise.
    """

    label: str
    written: str
    reason: str = ""


@dataclass(frozen=True)
class Options:
    """The options of one question, and how they are found in a text.

    Attributes:
      texts: texts of the options by label, in their order.
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

        Commitments are a box, a tag, "the answer is", "I choose", "B is correct", an opening or closing line of its
        own, bold in the last paragraph; and where there is none of these, "so it is B". Without any: the one option
        that the last line names or quotes, unless it denies or refuses; only what comes from the last box, tag or "the
        answer is" on counts, and nothing where the text breaks off in a computation. "The answer is A or B" names
        several; "the answer is none of these" none.
        """
        text = first_question(spoken(response), lambda before: bool(self._last(before) or self._named(before).label))
        last = self._last(text)
        if refusal := self._refusal(text, last):
            return Commitment("", refusal, "refusal")
        if last:
            return last[1]
        if unfinished(text):  # what its last line names or quotes is part of a computation
            return Commitment("", "", "no answer")
        # A box, a tag or "the answer is" that holds no option: what stood before it is working, and no answer.
        marks = [start for start, _ in (*boxes(text), *tags(text))] + [match.start() for match in choices(text)]
        return self._named(text[max(marks, default=0) :])

    def _last(self, text: str) -> tuple[int, Commitment] | None:
        """The last commitment and where it stands; a weak one ("so it is C") counts only where no other is."""
        places = sorted(self._commitments(text), key=lambda place: place[0]) or list(self._concluded(text))
        return places[-1] if places else None

    def _commitments(self, text: str) -> Iterator[tuple[int, Commitment]]:
        for start, content in [*boxes(text), *tags(text)]:
            if resolved := self._resolve(content):
                yield start, resolved
        for match in choices(text):
            if not NOT.match(text, match.end()) and (resolved := self._resolve(text[match.end() :][:600])):
                yield match.start(), resolved
        affirmed = re.compile(
            rf"(?<![\w'’])(?:(?:option|choice|answer|statement|antwort|opción|réponse)\s+)?"
            rf"[(*\[]{{0,4}}({self._label})[)*\].:]{{0,4}}(?:\s+|(?=[^\x00-\u2e7f]))(?:{AFFIRMS})",
        )
        for match in affirmed.finditer(text):
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
        label = rf"{_LABEL_LEAD}({self._label}){_EDGE}"
        match = re.compile(label, re.IGNORECASE).match(text)
        if not match:
            return None
        label, rest = match[1], text[match.end() :]
        if label not in self.texts:  # a lower-case letter, or no label
            label = label.upper()
            article = re.match(r"[}*\"',]*\s+[a-zA-Z]", rest)  # "a matter of taste"; but "b) is" and "b." are labels
            if label not in self.texts or article:
                return None
        elif label in "AI" and re.match(r"\s+[a-z]", rest) and not _GOES_ON.match(rest):
            return None
        lower = match[1] not in self.texts
        second = re.match(
            rf"[)\]*}}\"'\s]*(?:,|/|\bor\b|\band\b|&|oder\b|und\b|ou\b|o\b|或|和)\s*(?:option\s+)?[(*\[]*({self._label}){_EDGE}"
            r"(?![)\]*]*\s+(?:is|are|has|does|would|can)\b)"  # "B, A is wrong"
            + (r"(?!(?:\.|\s+)(?-i:[a-z]))" if lower else ""),  # "(b) or a similar one", "(b), e.g. iron"
            rest,
            re.IGNORECASE if lower else 0,
        )
        if second and second[1].upper() != label.upper():
            return Commitment("", match[0].strip() + second[0], "several")
        return Commitment(label, label)

    def _quoted_at(self, text: str) -> str:
        """The option whose words `text` starts with, the longest first; labels are no words."""
        start = normalised(text)
        for label, words in sorted(self._normal.items(), key=lambda item: -len(item[1])):
            if words.upper() not in self.texts and re.match(rf"{re.escape(words)}(?!\w|[.,]\d)", start):
                return label
        return ""

    def _concluded(self, text: str) -> Iterator[tuple[int, Commitment]]:
        pattern = re.compile(rf"{_HENCE}{_LABEL_LEAD}({self._label}){_EDGE}{_REASON}", re.IGNORECASE | re.MULTILINE)
        for match in pattern.finditer(text):
            if match[1] in self.texts:
                yield match.start(), Commitment(match[1], match[0].strip())

    def _lines(self, text: str) -> Iterator[tuple[int, Commitment]]:
        """An opening or closing line that is a label, or starts with one; not where it is one of a list of options.

        A line is one of a list where the line under the opening one starts with the next label, or the line above the
        closing one with another; where it is a label alone, only if that line is one, too.
        """
        lines = [match for match in re.finditer(r"[^\n]+", text) if match[0].strip()]
        alone = re.compile(rf"{_WRAP}({self._label}){_EDGE}(?:{_CLOSE}$|[)\]*_>]*\s*[.):]\s*[*]*\s*\S)")
        bare = re.compile(rf"(?:[AaQ]:\s*)?{_WRAP}({self._label}){_CLOSE}")
        single = re.compile(rf"{_WRAP}({self._label}){_CLOSE}", re.IGNORECASE)
        for place, step in ((0, 1), (len(lines) - 1, -1)) if lines else ():
            line = lines[place][0]
            match = only = bare.fullmatch(line)
            match = match or alone.match(line)
            if match and not self._listed(match[1], lines[place + step][0] if len(lines) > 1 else "", step, bool(only)):
                yield lines[place].start(), Commitment(match[1], line.strip()[:80])
            elif len(lines) == 1 and (match := single.fullmatch(line)) and match[1].upper() in self.texts:
                yield lines[0].start(), Commitment(match[1].upper(), line.strip())
        closing = normalised(lines[-1][0]) if lines and not unfinished(text) else ""
        label = next((label for label, words in self._normal.items() if words == closing), "")
        if label and closing.upper() not in self.texts:
            yield lines[-1].start(), Commitment(label, lines[-1][0].strip())

    def _listed(self, label: str, neighbour: str, step: int, only: bool) -> bool:
        close = rf"{_CLOSE}$" if only else r"[)\]*_.:\s]"
        match = re.match(rf"{_WRAP}({self._label}){close}", neighbour)
        if not match or match[1] == label:
            return False
        labels = list(self.texts)
        return step < 0 or labels.index(match[1]) == labels.index(label) + 1

    def _bold(self, text: str) -> Iterator[tuple[int, Commitment]]:
        start = text.rfind("\n\n") + 1
        pattern = re.compile(rf"\*\*[\s(\[]*(?:[Oo]ption\s+)?({self._label})(?:[)\].:\s]*\*\*|[).:\]][^*\n]*\*\*)")
        matches = list(pattern.finditer(text, start))
        if matches and len({match[1] for match in matches}) == 1 and not self._denied(text, matches[-1]):
            yield matches[-1].start(), Commitment(matches[-1][1], matches[-1][0])

    def _denied(self, text: str, match: re.Match[str]) -> bool:
        before = text[max(match.start() - 25, 0) : match.start()]
        return bool(_NEGATED.search(before.rpartition(".")[2]) or _WRONG.match(text, match.end()))

    def _refusal(self, text: str, last: tuple[int, Commitment] | None) -> str:
        """Words that decline to choose, in no option's text; empty if none.

        Behind a commitment they only explain it ("C, as none of these conducts"), unless they are the object of
        "the answer is", or their sentence takes back what was said.
        """
        for match in reversed(list(REFUSES.finditer(text, last[0] if last else 0))):
            words = normalised(match[0])
            if any(words in option for option in self._normal.values()):
                continue
            if last is None or self._retracted(text, last[0], match.start()):
                return match[0]
        return ""

    def _retracted(self, text: str, committed: int, start: int) -> bool:
        if any(one.start() > committed and not text[one.end() : start].strip(" *:\n") for one in choices(text)):
            return True
        sentence = max(text.rfind(mark, committed, start) for mark in (". ", "! ", "? ", "\n"))
        return sentence >= 0 and bool(RETRACTS.match(text, sentence + 1))

    def _named(self, text: str) -> Commitment:
        """The one option that the last sentence with any names in brackets, or as "option B", or quotes."""
        lines = [line for line in text.split("\n") if line.strip()]
        listed = [re.match(rf"{_WRAP}({self._label})[)\].:]", line) for line in lines[-2:]]
        if len(listed) == 2 and all(listed):  # the options, written out again
            return Commitment("", "", "no answer")
        # Behind a letter the brackets are a function's, as in "P(D)".
        named = re.compile(
            rf"(?<!\w)[(\[]({self._label})[)\]]|(?:\b(?:[Oo]ption|[Cc]hoice)\s+|选项\s*)({self._label}){_EDGE}"
        )
        for whole in reversed(_SENTENCE.split(lines[-1]) if lines else []):
            sentence = _INSTEAD.sub("", whole)
            labels = named.findall(sentence)
            names = {first or second for first, second in labels} or self._quotes(sentence)
            if names and _NEGATED.search(sentence):
                break
            if len(names) == 1:
                return Commitment(next(iter(names)), sentence[-200:])
            if names:
                return Commitment("", sentence[-200:], "several")
        return Commitment("", "", "no answer")

    def _quotes(self, line: str) -> set[str]:
        """Options whose words stand in a line; one that lies within another one does not count."""
        words = normalised(line)
        quoted = {
            label: text
            for label, text in self._normal.items()
            if text.upper() not in self.texts
            and re.search(rf"(?<![\w-])(?<!\d[.,]){re.escape(text)}(?!\w|[.,]\d)", words)
        }
        return {
            label
            for label, text in quoted.items()
            if not any(text != other and text in other for other in quoted.values())
        }


def normalised(text: str) -> str:
    """Lower case, one space, no markup, no quotes, no commas between thousands, no full stop at the end."""
    plain = re.sub(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^}]*)\}", r"\1", text)
    plain = re.sub(rf"[*_${_QUOTES}]|\\[()\[\]]", "", plain)
    plain = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", plain).replace("−", "-")
    return re.sub(r"\s+", " ", plain).strip().rstrip(".").lower().strip()
