"""Problems of the tiny tasks: a content put into one of its surface templates."""

import random
from dataclasses import dataclass

from hierrouter_jax.bridge.tiny import templates
from hierrouter_jax.bridge.tiny.arithmetic import Fact


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
