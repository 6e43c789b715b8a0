"""What of a response is said to the asker: neither its thoughts, nor what a base model adds behind its answer."""

import itertools
import re
from collections.abc import Callable

from hierrouter_jax.bridge.grading.phrases import END_OF_TURN, NEXT_QUESTION

LONGEST = 20_000  # characters from the end that are read; an answer before that is no final answer
_MOST_QUESTIONS = 20  # that are looked at, from the start
_THOUGHT = re.compile(r"<(think|thinking|thought|reasoning|scratchpad)>", re.IGNORECASE)
_THOUGHT_END = re.compile(r"</(?:think|thinking|thought|reasoning|scratchpad)>", re.IGNORECASE)
# Full-width forms, as Chinese and Japanese texts have them, in the form that the graders read.
_WIDTHS = {0xFF01 + place: 0x21 + place for place in range(0x5E)} | {0x3000: " ", "。": ". ", "．": ".", "｡": ". "}
_NARROW = str.maketrans({chr(key) if isinstance(key, int) else key: value for key, value in _WIDTHS.items()})


def spoken(response: str) -> str:
    """The end of a response, up to where its turn ends, without the reasoning that some models set apart in tags.

    Full-width marks and digits come in their usual form. Thoughts that never end leave what stands before them.
    """
    text = response[-LONGEST:].translate(_NARROW)
    for match in END_OF_TURN.finditer(text):
        if text[: match.start()].strip():
            text = text[: match.start()]
            break
    if ends := list(_THOUGHT_END.finditer(text)):
        text = text[ends[-1].end() :]
    if thought := _THOUGHT.search(text):
        text = text[: thought.start()]
    return text.strip()


def first_question(text: str, answers: Callable[[str], bool]) -> str:
    """`text` up to where it goes on to another question, as base models do once they have answered.

    Args:
      text: what `spoken` gives.
      answers: whether a text gives an answer; what stands before the next question must, or else the response only
        repeats the question that it was asked.
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
