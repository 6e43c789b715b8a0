"""What each specialist is taught to answer in a context; used to make its training data, never at run time."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from hierrouter_jax.tiny import templates
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


@dataclass(frozen=True)
class Problem:
    """A problem as text, before anything is said about the wanted form of the answer.

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
    return _fill(rng, "expression", templates.EXPRESSION, expression, allow_test_only, e=expression)


def number_problem(rng: random.Random, number: int, allow_test_only: bool) -> Problem:
    return _fill(rng, "number", templates.NUMBER, str(number), allow_test_only, n=number)


def fact_problem(rng: random.Random, fact: Fact, allow_test_only: bool) -> Problem:
    return _fill(rng, "fact", templates.FACT, fact.answer, allow_test_only, k=fact.key)


def word_problem(rng: random.Random, expression: str, allow_test_only: bool) -> Problem:
    """A short story whose answer is the value of `expression` (one or two operations)."""
    first, second = rng.sample(templates.NAMES, 2)
    item = rng.choice(templates.ITEMS)
    names = {"x": first, "y": second, "i": item}
    operators = [c for c in expression if c in "+-*"]
    numbers = expression.replace("+", " ").replace("-", " ").replace("*", " ").split()
    if len(operators) == 1:
        name, stock = _ONE_STEP[operators[0]]
        return _fill(rng, f"word/{name}", stock, expression, allow_test_only, a=numbers[0], b=numbers[1], **names)
    if operators[0] == "*":
        start, changes = f"{numbers[0]} bags of {numbers[1]} {item}", [(operators[1], numbers[2])]
    else:
        start, changes = f"{numbers[0]} {item}", list(zip(operators, numbers[1:], strict=True))
    change = " and then ".join(_change(rng, operator, operand, second) for operator, operand in changes)
    return _fill(rng, "word/two_step", templates.TWO_STEP, expression, allow_test_only, s=start, c=change, **names)


def ask(rng: random.Random, problem: Problem, wanted: str) -> str:
    """The query: the problem with one of the phrasings that say which form is wanted."""
    return rng.choice(templates.WANTED[wanted]).format(p=problem.text)


_ONE_STEP = {"+": ("add", templates.ADD), "-": ("subtract", templates.SUBTRACT), "*": ("multiply", templates.MULTIPLY)}


def _change(rng: random.Random, operator: str, operand: str, other: str) -> str:
    return rng.choice(templates.GAINS if operator == "+" else templates.LOSSES).format(b=operand, y=other)


def _fill(
    rng: random.Random, kind: str, stock: tuple[str, ...], content: str, allow_test_only: bool, **slots: object
) -> Problem:
    first_test_only = len(stock) - templates.NUM_TEST_ONLY
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
