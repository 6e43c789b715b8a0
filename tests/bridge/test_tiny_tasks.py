"""The tiny tasks and the specialists that ship: what the queries promise, checked on the queries themselves."""

import json
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig

from hierrouter_jax.errors import InputError
from hierrouter_jax.tiny import arithmetic
from hierrouter_jax.tiny.problems import NUM_TEST_ONLY, TEMPLATES
from hierrouter_jax.tiny.queries import FAMILIES, MOST_QUERIES, make_queries

COUNTS = {"train": 1200, "validation": 300, "test": 600}
SPECIALISTS = Path(str(files("hierrouter_jax"))) / "specialists"


@pytest.fixture(scope="module")
def queries():
    return make_queries(COUNTS, seed=5)


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


def test_there_are_eight_templates_a_kind_two_of_them_for_the_test_split():
    assert all(len(set(stock)) == len(stock) >= 8 for stock in TEMPLATES.values())
    assert NUM_TEST_ONLY == 2


def test_test_only_templates_occur_in_the_test_split_alone(queries):
    groups = {split: {q.group for q in queries if q.split == split} for split in COUNTS}
    unseen = {q.group for q in queries if q.unseen}
    assert {g for g in groups["test"] if g not in groups["train"]} == unseen
    assert not unseen & (groups["train"] | groups["validation"])
    assert len(unseen) == 2 * len(TEMPLATES)


def test_nothing_is_asked_twice(queries):
    assert len({query.text for query in queries}) == len(queries)
    keys = Counter(m[0] for q in queries if (m := re.search(r"\b[A-Z]\d[A-Z]\b", q.text)))
    assert len(keys) >= 600
    assert set(keys.values()) == {1}
    splits: dict[str, set[str]] = {}
    for query in queries:  # expressions of more than two digits and numbers belong to one split
        content = re.search(r"\d+([-+*]\d+)+", query.text)
        if (content and len(content[0]) > 3) or query.task == "number-to-words":
            splits.setdefault(content[0] if content else re.search(r"\d+", query.text)[0], set()).add(query.split)
    assert len(splits) > 500
    assert all(len(where) == 1 for where in splits.values())


def test_families_have_their_shares_and_gold_fits_the_wanted_form(queries):
    for task, family in FAMILIES.items():
        mine = [query for query in queries if query.task == task]
        assert len(mine) == pytest.approx(family.share * len(queries), abs=3)
        form = {"value": r"\d+", "words": r"[a-z -]+", "expression": r"\d+([-+*]\d+){1,2}"}[family.form]
        assert all(re.fullmatch(form, query.gold) for query in mine)
    for query in queries:
        if query.task == "expression-to-value":
            assert int(query.gold) == eval(re.search(r"\d+([-+*]\d+)+", query.text)[0])


def test_fact_queries_do_not_betray_what_comes_back(queries):
    """Half of them numbers, in either family."""
    answers = {fact.key: fact.answer for fact in arithmetic.facts()}
    for task in ("fact-to-value", "fact-to-words"):
        mine = [answers[re.search(r"\b[A-Z]\d[A-Z]\b", q.text)[0]] for q in queries if q.task == task]
        assert sum(a.isdigit() for a in mine) / len(mine) == pytest.approx(0.5, abs=0.02)


def test_the_seed_decides():
    assert make_queries(COUNTS, 5) == make_queries(COUNTS, 5)
    assert make_queries(COUNTS, 5) != make_queries(COUNTS, 6)


def test_more_queries_than_facts_are_refused():
    assert len(make_queries({"train": MOST_QUERIES}, 0)) == MOST_QUERIES
    with pytest.raises(InputError, match="at most 2200 in all"):
        make_queries({"train": MOST_QUERIES, "test": 1}, 0)


@pytest.mark.parametrize("name", ["reader", "calculator", "speller"])
def test_the_specialists_that_ship_are_small_and_good(name):
    """At most half a million weights in at most 1 MB, at least 97 % on every skill they were taught."""
    card = json.loads((SPECIALISTS / name / "card.json").read_text())
    assert (SPECIALISTS / name / "model.safetensors").stat().st_size <= 1_000_000
    assert card["parameters"] <= 500_000
    assert AutoConfig.from_pretrained(SPECIALISTS / name).model_type == "llama"
    taught = {skill: share for skill, share in card["accuracy"].items() if skill != "bare_number_left_alone"}
    assert len(taught) >= 2
    assert min(taught.values()) >= 0.97, taught
    assert card["accuracy"].get("bare_number_left_alone", 0) <= 0.2
