"""Where a text announces an answer, refuses one, or goes on to another question: what all graders of text share."""

import itertools
import re
from collections.abc import Callable, Sequence

from hierrouter_jax.bridge.grading.languages import LANGUAGES, Language
from hierrouter_jax.bridge.grading.markup import IN_PROSE, without_thinking


def any_of(field: str) -> str:
    """Alternatives of one field over all languages: whole words where a language parts its words."""
    parts = [(text, language.spaced) for language in LANGUAGES if (text := getattr(language, field))]
    return "|".join(rf"\b(?:{text})\b" if spaced else f"(?:{text})" for text, spaced in parts)


def _joint(language: Language) -> tuple[str, str, str]:
    """The edge of a word, what may stand between a noun and its verb, and the verb."""
    edge, reach = (r"\b", 80) if language.spaced else ("", 20)
    return edge, rf"(?:[^.\n:=<>]|\.(?=\d)){{0,{reach}}}?", rf"{edge}(?:{language.verbs}){edge}"


def _announcement(language: Language) -> str:
    """What announces an answer: a noun, some words, then a verb, or a mark behind a noun that needs none."""
    edge, between, verb = _joint(language)
    answer = rf"{edge}(?:{language.answers}){edge}{between}(?:{verb}|{_MARK})"
    return rf"{answer}|{edge}(?:{language.results}){edge}{between}{verb}"


def _choice(language: Language) -> str:
    """What announces an option: its noun with a verb or a mark, or words of choosing."""
    edge, between, verb = _joint(language)
    nouns = rf"{language.options}|{language.results}"
    return rf"{edge}(?:{nouns}){edge}{between}(?:{verb}|{_MARK})|{edge}(?:{language.chooses}){edge}"


_MARK = r":|=|->|→|⇒"
_ANNOUNCES = [(language.stems, re.compile(_announcement(language), re.IGNORECASE)) for language in LANGUAGES]
_CHOOSES = [(language.stems, re.compile(_choice(language), re.IGNORECASE)) for language in LANGUAGES]
# "La respuesta no es", 答案不是: the denial stands before the verb.
_DENIES = re.compile(r"(?:\b(?:no|non|não|не)\s+|不)\S{1,5}$", re.IGNORECASE)
AFFIRMS = any_of("affirms")
REFUSES = re.compile(any_of("refuses"), re.IGNORECASE)
# What denies an option behind an announcement that is not itself denied: "the answer is not".
NOT = re.compile(
    r"[\s*]*(?:definitely|certainly|clearly)?[\s*]*(?:(?:not|neither|never|nicht|pas|niet|non?|keine?)\b|n['’]t|不)",
    re.IGNORECASE,
)
# A sentence that takes back what was said before.
RETRACTS = re.compile(
    r"[\s*\"(]*(?:actually|wait|hold on|on second thought|correction|scratch that|sorry|oops|i take (?:it|that) back"
    r"|moment|halt|attends|espera|en fait|en realidad)\b",
    re.IGNORECASE,
)
# Behind a box, only such a phrase overrides it.
INSISTS = re.compile("|".join(language.insists for language in LANGUAGES), re.IGNORECASE)
# A line that goes on to another question, as a base model does behind its answer; or the end of a turn.
NEXT_QUESTION = re.compile(
    rf"^[ \t>*_#]*(?:{any_of('questions')})[ \t]*#?(?P<number>\d{{0,4}})[*_ \t]*:"
    r"|^[ \t]*#{1,4}[ \t]*(?:question|problem|instruction|input|user|human)\b[ \t]*\d*[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
END_OF_TURN = re.compile(
    r"<\|(?:im_end|im_start|endoftext|eot_id|end|end_of_text|start_header_id|user|eom_id)\|>|<(?:end|start)_of_turn>|</s>"
    r"|\[/?INST\]|<\uff5c[^\uff5c]{1,40}\uff5c>"
)


def announcements(text: str) -> list[re.Match[str]]:
    """Where a text announces an answer, in order: "The answer to this is", "Antwort:", 答案是."""
    return _matches(_ANNOUNCES, text)


def denied(text: str) -> bool:
    """Whether a text says what the answer is not."""
    return any(
        _DENIES.search(match[0]) or NOT.match(text, match.end()) for match in _matches(_ANNOUNCES, text, denials=True)
    )


def choices(text: str) -> list[re.Match[str]]:
    """Where a text announces an answer or an option, in order: "the best choice is", "ich wähle", 故选."""
    return sorted(_matches(_ANNOUNCES, text) + _matches(_CHOOSES, text), key=lambda match: match.end())


def _matches(
    patterns: Sequence[tuple[tuple[str, ...], re.Pattern[str]]], text: str, denials: bool = False
) -> list[re.Match[str]]:
    lower = text.lower()
    searched = (pattern for stems, pattern in patterns if any(stem in lower for stem in stems))
    every = (match for pattern in searched for match in pattern.finditer(text))
    return sorted((match for match in every if denials or not _DENIES.search(match[0])), key=lambda match: match.end())


LONGEST = 20_000  # characters from the end that are read; an answer before that is no final answer
_MOST_QUESTIONS = 20  # that are looked at, from the start
# Full-width forms, as Chinese and Japanese texts have them, in the form that the graders read.
_WIDTHS = {0xFF01 + place: 0x21 + place for place in range(0x5E)} | {0x3000: " ", "。": ". ", "．": ".", "｡": ". "}
_NARROW = str.maketrans(_WIDTHS)


def spoken(response: str) -> str:
    """The end of a response, up to where its turn ends, without the reasoning that some models set apart in tags.

    Full-width marks and digits come in their usual form. Thoughts that never end leave what stands before them.
    """
    text = response[-LONGEST:].translate(_NARROW)
    for match in END_OF_TURN.finditer(text):
        if text[: match.start()].strip():
            text = text[: match.start()]
            break
    return without_thinking(text, IN_PROSE).strip()


def first_question(text: str, answers: Callable[[str], bool]) -> str:
    """`text` up to where it goes on to another question, as base models do once they have answered.

    Args:
      text: a response as `spoken` gives it.
      answers: function that says whether a text gives an answer; what stands before the next question must, or else
        the response only repeats the question that it was asked.
    """
    numbers: list[int] = []
    for match in itertools.islice(NEXT_QUESTION.finditer(text), _MOST_QUESTIONS):
        number = int(match["number"] or 0)
        before = text[: match.start()].strip()
        # A response that numbers its questions from the first answers all of them.
        if before and not (number and number - 1 in numbers) and answers(before):
            return before
        numbers.append(number)
    return text
