"""The tiny pool's problems in words, and what each specialist is taught to answer them with."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from hierrouter_jax.tiny.arithmetic import (
    EXPRESSION,
    LARGEST_SPELLED,
    NUMBER,
    Fact,
    draw_expression,
    facts,
    is_held_out,
    is_held_out_number,
    number_words,
    reduce_leftmost,
)

# Surface templates by kind: eight of each, the last two only in the test split.
NUM_TEST_ONLY = 2
TEMPLATES = {
    "expression": (
        "Compute {e}.",
        "Evaluate {e}.",
        "What is {e}?",
        "Find the result of {e}.",
        "Calculate {e}.",
        "Here is a sum: {e}.",
        "Work out {e}.",
        "How much is {e}?",
    ),
    "number": (
        "Here is a number: {n}.",
        "Take the number {n}.",
        "The number is {n}.",
        "Look at {n}.",
        "My number is {n}.",
        "You are given {n}.",
        "Consider the number {n}.",
        "The display shows {n}.",
    ),
    "fact": (
        "What is the code of {k}?",
        "Tell me the code of {k}.",
        "Recall the code for {k}.",
        "Which code belongs to {k}?",
        "Look up the code of {k}.",
        "I forgot the code of {k}.",
        "Do you know the code of {k}?",
        "The code of {k}, please.",
    ),
    "word/add": (
        "{x} has {a} {i} and buys {b} more. How many {i} does {x} have?",
        "{x} picks {a} {i} and then {b} more {i}. How many in all?",
        "There are {a} {i} on a shelf and {b} in a box. How many {i} are there?",
        "A shop sold {a} {i} on Monday and {b} on Tuesday. How many {i} did it sell?",
        "{x} had {a} {i}. {y} gave {x} {b} more. How many {i} now?",
        "A bag holds {a} {i}; {x} adds {b}. How many {i} are in the bag?",
        "{x} found {a} {i} and {y} found {b}. How many {i} did they find together?",
        "To {a} {i} on the table {x} puts {b} more. How many {i} lie there?",
    ),
    "word/subtract": (
        "{x} has {a} {i} and loses {b}. How many {i} does {x} have left?",
        "{x} had {a} {i} and gave {b} to {y}. How many {i} are left?",
        "There were {a} {i} in a box and {x} took {b}. How many {i} remain?",
        "A shop had {a} {i} and sold {b}. How many {i} are still there?",
        "Of {a} {i}, {b} are broken. How many {i} are whole?",
        "{x} has {a} {i}; {y} has {b} fewer. How many {i} does {y} have?",
        "{x} carried {a} {i} but dropped {b}. How many {i} did {x} keep?",
        "From {a} {i} on the table {x} removes {b}. How many {i} lie there?",
    ),
    "word/multiply": (
        "{x} has {a} bags with {b} {i} each. How many {i} does {x} have?",
        "There are {a} boxes of {b} {i}. How many {i} are there?",
        "{x} fills {a} shelves with {b} {i} each. How many {i} is that?",
        "A shop sells {b} {i} a day for {a} days. How many {i} does it sell?",
        "{a} friends bring {b} {i} each. How many {i} do they bring?",
        "{x} lays {a} rows of {b} {i}. How many {i} lie there?",
        "In each of {a} drawers {x} finds {b} {i}. How many {i} in total?",
        "{x} gets {b} {i} a week. How many {i} after {a} weeks?",
    ),
    # {s} is a start, `12 coins` or `3 bags of 4 coins`; {c} one or two changes, `buys 7 more and then loses 5`.
    "word/two_step": (
        "{x} has {s}, {c}. How many {i} now?",
        "{x} starts with {s}. Then {x} {c}. How many {i} are there?",
        "First {x} has {s}. Later {x} {c}. How many {i} at the end?",
        "{x} owns {s} and {c}. How many {i} does {x} have?",
        "On Monday {x} has {s}. On Tuesday {x} {c}. How many {i} now?",
        "With {s} in hand {x} {c}. How many {i} are in hand?",
        "{x} brings {s} to school, {c}. How many {i} come home?",
        "There {x} stands with {s}. Soon {x} {c}. How many {i} then?",
    ),
}

NAMES = ("Ann", "Ben", "Cara", "Dan", "Eva", "Finn", "Gina", "Hugo", "Iris", "Jon", "Kim", "Leo")
ITEMS = ("apples", "books", "cards", "coins", "eggs", "hats", "keys", "pens", "plums", "shells", "stamps", "toys")
GAINS = ("buys {b} more", "finds {b} more", "gets {b} from {y}")
LOSSES = ("loses {b}", "gives {b} to {y}", "sells {b}")

# How a query asks for a form of the answer; {p} is the problem. All phrasings occur in every split.
PHRASINGS = {
    "value": (
        "{p} Answer with a number.",
        "{p} Give the value in digits.",
        "{p} Reply with digits only.",
        "{p} I want the plain number.",
        "In digits: {p}",
        "Reply with a number. {p}",
    ),
    "words": (
        "{p} Answer in words.",
        "{p} Spell the answer out.",
        "{p} Write the answer in English words.",
        "{p} Use letters only.",
        "In words: {p}",
        "Spell your reply in words. {p}",
    ),
    "expression": (
        "{p} Answer with the expression only.",
        "{p} Write it as a formula.",
        "{p} Do not compute, give the expression.",
        "{p} Show the formula, not the result.",
        "As an expression: {p}",
        "Give just the formula. {p}",
    ),
}


@dataclass(frozen=True)
class Problem:
    """A problem as text, before anything is said about the form of the answer.

    Attributes:
      text: what the query says.
      content: the expression, number or fact answer behind it.
      kind: expression, number, fact or word.
      template: `kind/index` of the surface template.
      test_only: whether the template is kept for the test split.
    """

    text: str
    content: str
    kind: str
    template: str
    test_only: bool


def expression_problem(rng: random.Random, expression: str, allow_test_only: bool) -> Problem:
    return _fill(rng, "expression", expression, allow_test_only, e=expression)


def number_problem(rng: random.Random, number: int, allow_test_only: bool) -> Problem:
    return _fill(rng, "number", str(number), allow_test_only, n=number)


def fact_problem(rng: random.Random, fact: Fact, allow_test_only: bool) -> Problem:
    return _fill(rng, "fact", fact.answer, allow_test_only, k=fact.key)


def word_problem(rng: random.Random, expression: str, allow_test_only: bool) -> Problem:
    """A short story whose answer is the value of `expression` (one or two operations)."""
    first, second = rng.sample(NAMES, 2)
    item = rng.choice(ITEMS)
    names = {"x": first, "y": second, "i": item}
    operators = [c for c in expression if c in "+-*"]
    numbers = expression.replace("+", " ").replace("-", " ").replace("*", " ").split()
    if len(operators) == 1:
        kind = {"+": "word/add", "-": "word/subtract", "*": "word/multiply"}[operators[0]]
        return _fill(rng, kind, expression, allow_test_only, a=numbers[0], b=numbers[1], **names)
    if operators[0] == "*":
        start, changes = f"{numbers[0]} bags of {numbers[1]} {item}", [(operators[1], numbers[2])]
    else:
        start, changes = f"{numbers[0]} {item}", list(zip(operators, numbers[1:], strict=True))
    change = " and then ".join(_change(rng, operator, operand, second) for operator, operand in changes)
    return _fill(rng, "word/two_step", expression, allow_test_only, s=start, c=change, **names)


def ask(rng: random.Random, problem: Problem, form: str) -> str:
    """The query: the problem with one of the phrasings that say which form the answer is to have."""
    return rng.choice(PHRASINGS[form]).format(p=problem.text)


def _change(rng: random.Random, operator: str, operand: str, other: str) -> str:
    return rng.choice(GAINS if operator == "+" else LOSSES).format(b=operand, y=other)


def _fill(rng: random.Random, kind: str, content: str, allow_test_only: bool, **slots: object) -> Problem:
    stock = TEMPLATES[kind]
    first_test_only = len(stock) - NUM_TEST_ONLY
    index = rng.randrange(len(stock) if allow_test_only else first_test_only)
    return Problem(
        text=stock[index].format(**slots),
        content=content,
        kind=kind.partition("/")[0],
        template=f"{kind}/{index}",
        test_only=index >= first_test_only,
    )


SPECIALISTS = ("reader", "calculator", "speller")


def taught_response(specialist: str, problem: Problem, responses: Sequence[str]) -> str | None:
    """What `specialist` is taught to say next, or None where it is taught nothing.

    The calculator is taught nothing about a bare number: what it makes of one is its own doing.
    """
    last = responses[-1] if responses else problem.content if problem.kind in ("expression", "number") else None
    if specialist == "reader":
        if responses:
            return responses[-1]
        return problem.content if problem.kind in ("word", "fact") else None
    if last is None:
        return None
    if specialist == "calculator":
        return reduce_leftmost(last) if EXPRESSION.fullmatch(last) else None
    if NUMBER.fullmatch(last):
        return number_words(int(last))
    return last if responses and not EXPRESSION.fullmatch(last) else None


def draw_problem(rng: random.Random, kind: str, held_out: bool) -> Problem:
    """A random problem whose content is (or is not) kept from the specialists' training; facts are all known."""
    if kind == "fact":
        return fact_problem(rng, rng.choice(facts()), allow_test_only=True)
    if kind == "number":
        while is_held_out_number(number := rng.randint(0, LARGEST_SPELLED)) != held_out:
            pass
        return number_problem(rng, number, allow_test_only=True)
    while is_held_out(expression := draw_expression(rng, rng.choice((1, 2)))) != held_out:
        pass
    make = word_problem if kind == "word" else expression_problem
    return make(rng, expression, allow_test_only=True)


def draw_walk(rng: random.Random, specialist: str, problem: Problem, hops: int) -> list[str] | None:
    """Responses of up to `hops` taught specialists, the last by `specialist`; None where it would be taught nothing."""
    responses: list[str] = []
    for _ in range(hops - 1):
        options = [taught_response(other, problem, responses) for other in SPECIALISTS]
        options = [option for option in options if option is not None]
        if not options:
            return None
        responses.append(rng.choice(options))
    last = taught_response(specialist, problem, responses)
    return None if last is None else [*responses, last]
