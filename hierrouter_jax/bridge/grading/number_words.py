"""Numbers in English words, alone or behind digits: "one hundred and twenty", "1.5 million", "two and a half"."""

import re
from fractions import Fraction
from functools import cache

from num2words import num2words

# Words of scale. Those of other languages follow digits only ("3 Millionen"), as their number words are not read.
SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
FOREIGN_SCALES = {
    "tausend": 10**3,
    "mille": 10**3,
    "mil": 10**3,
    "millionen": 10**6,
    "millones": 10**6,
    "millón": 10**6,
    "milliarde": 10**9,
    "milliarden": 10**9,
    "milliard": 10**9,
    "千": 10**3,
    "万": 10**4,
    "億": 10**8,
    "亿": 10**8,
}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "eighth": 8, "tenth": 10}


@cache
def small_words() -> dict[str, int]:
    """The words of 0 to 19 and of the tens, with their values."""
    return {num2words(number): number for number in (*range(20), *range(20, 100, 10))}


@cache
def word_pattern() -> re.Pattern[str]:
    """A whole number, or one and a half and the like, in words; "a hundred" counts, "a" and "and" alone do not."""
    unit = "|".join(sorted(small_words(), key=len, reverse=True))
    scale = "|".join(rf"{word}s?" for word in SCALES)
    part = "|".join(_PARTS)
    word = rf"(?:{unit}|{scale})"
    whole = rf"(?:an?\s+(?:{scale})|{unit}|(?:{scale}))\b(?:(?:\s+and\s+|[\s-]+|,\s+){word}\b)*"
    fraction = rf"(?:(?:an?|one|two|three|four|five|six|seven|nine)[\s-]+(?:{part})s?\b(?!\s+of\b))"
    return re.compile(rf"\b(?:{fraction}|{whole}(?:\s+and\s+{fraction})?)", re.IGNORECASE)


def words_value(text: str) -> Fraction | None:
    """The value of a number in words, None where the words make no number ("five six")."""
    words = re.findall(r"[a-z]+", text.lower())
    total = Fraction(0)
    if words and words[-1].rstrip("s") in _PARTS:
        count = words[-2] if len(words) > 1 else "a"
        top = 1 if count in ("a", "an") else small_words().get(count)
        if top is None:
            return None
        total, words = Fraction(top, _PARTS[words[-1].rstrip("s")]), words[:-2]
    whole = _whole([word for word in words if word != "and"]) if words else 0
    return None if whole is None else total + whole


def _whole(words: list[str]) -> int | None:
    """The value of a whole number: scales fall from left to right, hundreds multiply what stands before them."""
    total, group, last = 0, 0, 10**15
    fresh = True  # whether nothing of the present group was read
    room = 10**3  # what a small number may still be added below
    for word in words:
        scale = SCALES.get(word.rstrip("s") if word.rstrip("s") in SCALES else word)
        if word in ("a", "an"):
            continue
        if scale == 100:
            group, room, fresh = (group or 1) * 100, 100, False
        elif scale:
            if scale >= last:
                return None
            total, group, last, room, fresh = total + (group or 1) * scale, 0, scale, 10**3, True
        else:
            value = small_words()[word]
            if value >= room or (value == 0 and not fresh):
                return None
            group, room, fresh = group + value, 10 if value >= 20 else 1, False
    return total + group
