"""Grades answers that are one number (GSM8K): the last one that a response commits to, as an exact rational."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from num2words import num2words

from hierrouter_jax.bridge.grading.final_answer import MARKS, FinalAnswer, final_answer, last_line
from hierrouter_jax.bridge.grading.latex.clean import clean
from hierrouter_jax.bridge.grading.list_markers import without_steps
from hierrouter_jax.bridge.grading.verdict import Verdict
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query

# A decimal may miss the gold number by this much: 17.9999999 is 18, 33.33 is not 33.
TOLERANCE = Fraction(1, 1_000_000)
MOST_DIGITS = 24  # of a number
LONGEST = 1_000  # characters of an answer that are read, from its end

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_TOKEN = re.compile(
    rf"(?P<clock>\b\d{{1,2}}:\d{{2}}(?::\d{{2}})?\b)"
    rf"|(?P<sign>(?<![\w)}}%.])-\s*)?(?:\$\s*)?(?P<minus>-)?"
    rf"(?:(?P<whole>\d+)\s*(?:\\frac\{{(?P<top1>\d+)\}}\{{(?P<bottom1>\d+)\}}|(?<=\s)(?P<top2>\d+)/(?P<bottom2>\d+)(?![\d/]))"
    rf"|\\frac\{{(?P<top3>-?{_NUMBER})\}}\{{(?P<bottom3>{_NUMBER})\}}"
    rf"|(?P<top4>{_NUMBER})\s*/\s*(?P<bottom4>{_NUMBER})(?![\d/])"
    rf"|(?P<plain>{_NUMBER})(?P<ordinal>(?:st|nd|rd|th)\b)?)"
)
_RANGE = re.compile(rf"^\D*?(?:{_NUMBER})\s*(?:-|to\b|or\b|\\text\{{\s*(?:to|or)\s*\}})\s*\$?\s*(?:{_NUMBER})\D*$")
_PAIRS = {  # how many of the second unit make one of the first
    ("hour", "minute"): 60,
    ("minute", "second"): 60,
    ("week", "day"): 7,
    ("year", "month"): 12,
    ("day", "hour"): 24,
    ("dollar", "cent"): 100,
    ("pound", "ounce"): 16,
    ("feet", "inch"): 12,
    ("foot", "inch"): 12,
}
_PAIR = re.compile(
    rf"(?P<first>{_NUMBER})[\s-]*(?P<big>hour|minute|week|year|day|dollar|pound|feet|foot)s?\b[\s,]*(?:and\s+)?"
    rf"(?P<second>{_NUMBER})[\s-]*(?P<small>minute|second|day|month|hour|cent|ounce|inch)(?:s|es)?\b"
)
_COUNTS_ONE = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "has",
        "have",
        "had",
        "exactly",
        "only",
        "just",
        "equals",
        "leaves",
        "gets",
        "needs",
        "makes",
        "about",
    ]
)
_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")


@dataclass(frozen=True)
class Gsm8kGrader:
    """Grades a response by its last committed number; `gold` is a number, or a solution that ends in `#### number`.

    Commas, currency, percent signs, unit words, `x = 5`, fractions, mixed numbers and numbers in words are read.
    Two units ("1 hour 30 minutes") are right if either unit alone makes them the gold number (90 or 1.5). A clock
    time is right only as a full hour (2:00 for 2). Equality is exact within TOLERANCE.

    Reasons: `right`, `wrong: value`, `wrong: range`, `wrong: time`, `no answer`, `unmarked`.

    Attributes:
      marked: whether only an answer that is marked (boxed, after ####, after "the answer is") counts, as where the
        prompt asks for a box; else the last number of the last line is taken as one.
    """

    marked: bool = False

    @property
    def identity(self) -> str:
        """Names the grader and whatever its verdicts depend on, for caches."""
        return f"gsm8k 2, marked {self.marked}"

    def __call__(self, responses: Sequence[str], queries: Sequence[Query]) -> list[Verdict]:
        """Verdicts in the order of the responses.

        Raises:
          InputError: if there is not one response a query, or a gold answer is no number.
        """
        if len(responses) != len(queries):
            raise InputError(f"grading: {len(responses)} responses for {len(queries)} queries; there must be one each")
        return [_grade(response, _gold(query), self.marked) for response, query in zip(responses, queries, strict=True)]


def _gold(query: Query) -> Fraction:
    text = query.gold.rpartition("####")[2].strip().replace(",", "").lstrip("$")
    if not re.fullmatch(r"-?\d+(?:\.\d+)?(?:/0*[1-9]\d*)?", text):
        raise InputError(
            f"query {query.id}: gold is {query.gold[-40:]!r}; "
            "a number, or a solution that ends in '#### number', would be right"
        )
    top, _, bottom = text.partition("/")
    return Fraction(top) / Fraction(bottom or "1")


def _grade(response: str, gold: Fraction, marked: bool) -> Verdict:
    answer = final_answer(response)
    if marked and answer.marker not in MARKS:
        return Verdict(0.0, answer.text, "unmarked")
    text = _read(answer)
    if answer.marker in MARKS and _RANGE.match(text):
        return Verdict(0.0, text, "wrong: range")
    if (pair := _last_pair(text)) is not None:
        written, values = pair
        return _verdict(written, any(_close(value, gold) for value in values))
    found = _committed(text, answer)
    if found is None and answer.marker == "phrase" and not marked:  # "the answer is as follows"
        answer = last_line(response)
        found = _committed(_read(answer), answer)
    if found is None:
        return Verdict(0.0, answer.text, "no answer")
    written, value = found
    if value is None:
        return Verdict(0.0, written, "wrong: time")
    return _verdict(written, _close(value, gold))


def _committed(text: str, answer: FinalAnswer) -> tuple[str, Fraction | None] | None:
    """The number that a text commits to, as written and its value (None for a time that is no full hour)."""
    tokens = [match for match in _TOKEN.finditer(text) if _size(match) <= MOST_DIGITS]
    if not tokens:
        return _last_word_number(text)
    first = answer.marker in ("phrase", "hashes") and "=" not in text  # "the answer is 18 dollars for 9 eggs"
    match = tokens[0 if first else -1]
    return match[0].strip(), _token_value(match)


def _token_value(match: re.Match[str]) -> Fraction | None:
    if match["clock"]:
        hour, _, rest = match["clock"].partition(":")
        return Fraction(int(hour)) if not rest.strip("0:") else None
    sign = -1 if match["sign"] or match["minus"] else 1
    if match["plain"]:
        return sign * _fraction(match["plain"])
    for index in "1234":
        if match[f"bottom{index}"]:
            bottom = _fraction(match[f"bottom{index}"])
            if bottom == 0:
                return None
            whole = Fraction(int(match["whole"] or 0)) if index in "12" else Fraction(0)
            return sign * (whole + _fraction(match[f"top{index}"]) / bottom)
    raise AssertionError("a token is a clock time, a number or a fraction")


def _last_pair(text: str) -> tuple[str, tuple[Fraction, Fraction]] | None:
    """Two units of one quantity at the end of a text: as written, and their sum in each."""
    matches = [m for m in _PAIR.finditer(text) if (m["big"], m["small"]) in _PAIRS]
    if not matches or _TOKEN.search(text, matches[-1].end()):
        return None
    match = matches[-1]
    first, second = _fraction(match["first"]), _fraction(match["second"])
    ratio = _PAIRS[match["big"], match["small"]]
    return match[0], (first * ratio + second, first + second / ratio)


@cache
def _words() -> dict[str, int]:
    return {num2words(number).replace("-", " "): number for number in range(101)}


def _last_word_number(text: str) -> tuple[str, Fraction] | None:
    """The last number in words, up to a hundred."""
    words = re.findall(r"[a-z]+", text.lower())
    for end in range(len(words), 0, -1):
        for size in (2, 1):
            phrase = " ".join(words[max(end - size, 0) : end])
            if phrase == "one" and end > 1 and words[end - 2] not in _COUNTS_ONE:
                continue  # "the broken one" is a pronoun
            if phrase in _words():
                return phrase, Fraction(_words()[phrase])
    return None


def _read(answer: FinalAnswer) -> str:
    return without_steps(_flat(answer.text[-LONGEST:]))


def _flat(text: str) -> str:
    """Plain text of an answer: \\text{} opened, dollars of LaTeX kept for prices only."""
    text = clean(text)
    text = _TEXT.sub(r" \1 ", text)
    return re.sub(r"(?<=\d),\s?(?=\d{3}(?:\D|$))", ",", text)


def _fraction(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))


def _size(match: re.Match[str]) -> int:
    return sum(character.isdigit() for character in match[0])


def _close(value: Fraction, gold: Fraction) -> bool:
    return abs(value - gold) <= TOLERANCE


def _verdict(written: str, right: bool) -> Verdict:
    return Verdict(float(right), written, "right" if right else "wrong: value")
