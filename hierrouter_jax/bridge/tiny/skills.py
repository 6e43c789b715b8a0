"""What each specialist is taught to answer in a context; used to make its training data, never at run time."""

import random
from collections.abc import Sequence

from hierrouter_jax.bridge.tiny.arithmetic import (
    EXPRESSION,
    LARGEST_SPELLED,
    NUMBER,
    draw_expression,
    facts,
    is_held_out,
    is_held_out_number,
    number_words,
    reduce_leftmost,
)
from hierrouter_jax.bridge.tiny.problems import (
    Problem,
    expression_problem,
    fact_problem,
    number_problem,
    word_problem,
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
