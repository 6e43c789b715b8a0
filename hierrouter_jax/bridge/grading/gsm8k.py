"""Grades answers that are one number (GSM8K): the last one that a response commits to, as an exact rational."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from hierrouter_jax.bridge.grading.final_answer import MARKS, FinalAnswer, final_answer, last_line, own_part
from hierrouter_jax.bridge.grading.latex.clean import clean
from hierrouter_jax.bridge.grading.markup import without_steps
from hierrouter_jax.bridge.grading.quantities import Quantity, quantities, word_quantities
from hierrouter_jax.bridge.grading.verdict import Verdict, check_paired
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query

# A decimal of six places may miss the gold number by this much of it: 17.9999999 is 18, 33.33 is not 33.
TOLERANCE = Fraction(1, 1_000_000)
_ROUNDED_PLACES = 6
LONGEST = 1_000  # characters of an answer that are read, from its end

_NUMBER = r"(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
_RANGE = re.compile(rf"^\D*?(?:{_NUMBER})\s*(?:-|to\b|or\b|\\text\{{\s*(?:to|or)\s*\}})\s*\$?\s*(?:{_NUMBER})\D*$")
_SEPARATES = re.compile(r"[\s$]*(?:,|;|,?\s*and\b)[\s$]*")
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
_AND = re.compile(r",?\s+and\s+(?=\d)")
_COUNTS_ONE = frozenset(re.findall(r"\w+", "is are was were has have had exactly only just equals leaves gets needs"))
_EQUALS = re.compile(r"=|≈|\\approx")
_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")


@dataclass(frozen=True)
class Gsm8kGrader:
    """Grades a response by its last committed number; `gold` is a number, or a solution that ends in `#### number`.

    Commas, currency, percent signs, unit words, `x = 5`, fractions, mixed numbers and numbers in words are read.
    Two units ("1 hour 30 minutes") are right if either unit alone makes them the gold number (90 or 1.5). A clock
    time is right only as a full hour (2:00 for 2). Equality is exact within TOLERANCE.

    Reasons: `right`; `wrong: value`, `range`, `several` (3, 5), `time`, `form` (a computation that was not carried
    out, or has no value); `no answer`, `unmarked`.

    Attributes:
      marked: whether only an answer that is marked (boxed, after ####, after "the answer is") counts, as where the
        prompt asks for a box; else the last number of the last line is taken as one.
    """

    marked: bool = False

    @property
    def identity(self) -> str:
        """Names the grader and whatever its verdicts depend on, for caches."""
        return f"gsm8k 4, marked {self.marked}"

    def __call__(self, responses: Sequence[str], queries: Sequence[Query]) -> list[Verdict]:
        """Verdicts in the order of the responses.

        Raises:
          InputError: if there is not one response a query, or a gold answer is no number.
        """
        check_paired(responses, queries)
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
    if answer.marker in MARKS and _several(text):
        return Verdict(0.0, text, "wrong: several")
    if (pair := _last_pair(text)) is not None:
        written, values = pair
        return _verdict(written, any(value == gold for value in values))
    number = _committed(text, answer.marker)
    if number is None and answer.marker == "phrase" and not marked:  # "the answer is as follows"
        answer = last_line(own_part(response))
        text = _read(answer)
        number = _committed(text, answer.marker)
    if number is None:
        return Verdict(0.0, answer.text, "no answer")
    if number.value is None:
        return Verdict(0.0, number.written, "wrong: time" if number.kind == "clock" else "wrong: form")
    if number.kind == "computation" and answer.marker not in MARKS:
        return Verdict(0.0, number.written, "wrong: form")
    return _verdict(number.written, _right(number, gold))


def _committed(text: str, marker: str) -> Quantity | None:
    """The number that a text commits to: the first behind a phrase, the last of a formula or a line."""
    numbers, words = quantities(text), word_quantities(text)
    first = marker in ("phrase", "hashes", "tagged") and not _EQUALS.search(text)  # "18 dollars for 9 eggs"
    if not numbers:
        words = [word for word in words if word.written.lower() != "one" or _counts(text, word)]
        return words[0 if first else -1] if words else None
    if first and words and not re.search(r"\w", text[: words[0].start]):
        return words[0]  # "five apples for 3 days"
    if not first and len(numbers) > 1 and numbers[-1].kind == "computation" and text[: numbers[-1].start].endswith("("):
        numbers.pop()  # "40 boxes (14 + 26)"
    return numbers[0 if first else -1]


def _several(text: str) -> bool:
    """Whether a text gives several bare numbers, as "3, 5" and "3 and 5" do."""
    numbers = quantities(text)
    gaps = [text[one.end : after.start] for one, after in itertools.pairwise(numbers)]
    return bool(gaps) and all(map(_SEPARATES.fullmatch, gaps))


def _counts(text: str, one: Quantity) -> bool:
    """Whether "one" is a number there: "the broken one" is a pronoun."""
    before = re.findall(r"\w+", text[: one.start].lower())
    return not before or before[-1] in _COUNTS_ONE


def _last_pair(text: str) -> tuple[str, tuple[Fraction, Fraction]] | None:
    """Two units of one quantity at the end of a text: as written, and their sum in each."""
    text = _AND.sub(", ", text)
    matches = [m for m in _PAIR.finditer(text) if (m["big"], m["small"]) in _PAIRS]
    if not matches or re.search(r"\d", text[matches[-1].end() :]):
        return None
    match = matches[-1]
    first, second = _fraction(match["first"]), _fraction(match["second"])
    ratio = _PAIRS[match["big"], match["small"]]
    return match[0], (first * ratio + second, first + second / ratio)


def _read(answer: FinalAnswer) -> str:
    return without_steps(_flat(answer.text[-LONGEST:]))


def _flat(text: str) -> str:
    """Plain text of an answer: \\text{} opened, dollars of LaTeX kept for prices only."""
    return _TEXT.sub(r" \1 ", clean(text, answer=False))


def _fraction(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))


def _right(number: Quantity, gold: Fraction) -> bool:
    """Exactly equal, or rounded: only a decimal with six places or more may be off."""
    off = abs(number.value - gold) if number.value is not None else Fraction(1)
    return not off or (number.places >= _ROUNDED_PLACES and off <= TOLERANCE * min(1, abs(gold)))


def _verdict(written: str, right: bool) -> Verdict:
    return Verdict(float(right), written, "right" if right else "wrong: value")
