"""Reduction, expressions and facts of the tiny tasks."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.tiny import arithmetic


@pytest.mark.parametrize(
    ("expression", "reduced"), [("12+7-5", "19-5"), ("19-5", "14"), ("3*4+5", "12+5"), ("7-7", "0")]
)
def test_reduction_by_hand(expression, reduced):
    assert arithmetic.reduce_leftmost(expression) == reduced


def test_a_number_cannot_be_reduced():
    with pytest.raises(ValueError, match="no operation"):
        arithmetic.reduce_leftmost("14")


@given(seed=st.integers(0, 10**6), steps=st.sampled_from([1, 2]))
def test_expressions_need_no_precedence_and_stay_in_range(seed, steps):
    import random

    expression = arithmetic.draw_expression(random.Random(seed), steps)
    assert len(re.findall(r"[-+*]", expression)) == steps
    assert arithmetic.evaluate(expression) == eval(expression)  # Python's precedence
    while not expression.isdigit():
        expression = arithmetic.reduce_leftmost(expression)
        assert 0 <= int(re.match(r"-?\d+", expression)[0]) <= arithmetic.LARGEST_RESULT


def test_facts_are_many_half_numbers_and_keys_say_nothing():
    facts = arithmetic.facts()
    assert len({fact.key for fact in facts}) == len(facts) >= 600
    assert sum(fact.answer.isdigit() for fact in facts) * 2 == len(facts)
    assert {len(fact.key) for fact in facts} == {3}


def test_values_words_and_what_is_held_out_by_hand():
    assert arithmetic.evaluate("12+7-5") == 14
    assert arithmetic.number_words(347) == "three hundred and forty-seven"
    assert not arithmetic.is_held_out("3*4")  # single products are all seen
    assert not arithmetic.is_held_out_number(99)
    share = sum(arithmetic.is_held_out_number(number) for number in range(100, 1000)) / 900
    assert 0.08 < share < 0.12
    sums = [f"{a}+{b}" for a in range(1, 50) for b in range(1, 50)]
    assert 0.08 < sum(map(arithmetic.is_held_out, sums)) / len(sums) < 0.12
