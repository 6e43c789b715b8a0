"""What rows become: golds as the graders read them, and one sentence where a row is no such row."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.bridge.grading.markup import last_box
from hierrouter_jax.bridge.tasks.config import load_task
from hierrouter_jax.bridge.tasks.items import (
    BUILT_IN,
    Item,
    arc,
    choices,
    gsm8k,
    item_maker,
    make_item,
    math,
    mbpp,
    movable,
    reordered,
)
from hierrouter_jax.bridge.tasks.source import read_items
from hierrouter_jax.errors import InputError

SIZES = {"gsm8k": 1319, "math": 500, "mbpp": 500, "humaneval": 164, "arc": 300, "mmlu": 544}


def test_gsm8k_by_hand():
    item = gsm8k({"question": " How many? ", "answer": "3*3=<<3*3=9>>9 hens\nSo 1,009.\n#### 1,009"})
    assert (item.content, item.gold) == ("How many?", "1,009")
    assert item.fields["solution"] == "3*3=9 hens\nSo 1,009."


def test_math_takes_the_last_box():
    row = {"problem": "?", "solution": r"First \boxed{1}, then $\boxed{\frac{1}{\{2\}}}$.", "type": "Algebra"}
    item = math(row | {"level": "Level 2"})
    assert item.gold == r"\frac{1}{\{2\}}"
    assert item.stratum == "Algebra, Level 2"


@pytest.mark.parametrize(
    ("text", "boxed"),
    [
        (r"\boxed{a{b}c} and \boxed {d}", "d"),
        (r"$\boxed 5$ men", "5"),
        (r"\fbox{7}", "7"),
        (r"\boxed{open", "open"),
        ("nothing", None),
        (r"\boxed{}", None),
        (r"$d = \boxed{15\frac{39}{40}},$ or $\boxed{\frac{639}{40}}$ inches", r"\frac{639}{40}"),
    ],
)
def test_last_box_by_hand(text, boxed):
    assert last_box(text) == boxed


@given(st.text(alphabet="ab{}"), st.text(alphabet="xyz "))
def test_what_is_boxed_comes_back(inside, around):
    balanced = inside.replace("}", "").replace("{", "{q}")
    assert last_box(rf"{around}\boxed{{{balanced}}}{around}") == (balanced or None)


def test_setup_code_and_line_ends_of_mbpp():
    row = {"task_id": 367, "text": "Check.", "code": "class N:\r\n    pass", "test_list": ["assert f(r)"]}
    item = mbpp(row | {"test_setup_code": "r = N()\r\n", "challenge_test_list": []})
    gold = json.loads(item.gold)
    assert gold == {"kind": "mbpp", "setup": "r = N()\n", "tests": ["assert f(r)"], "imports": []}
    assert item.key == "367"
    assert "\r" not in item.fields["code"]


def test_sanitized_mbpp_brings_imports():
    row = {"task_id": 2, "prompt": "Do.", "code": "", "test_list": [], "test_imports": ["import math"]}
    assert json.loads(mbpp(row).gold)["imports"] == ["import math"]


def test_numbered_options_of_arc_are_lettered():
    row = {"id": "x", "question": "?", "choices": {"text": ["p", "q", "r"], "label": ["1", "2", "3"]}, "answerKey": "2"}
    assert json.loads(arc(row).gold) == {"answer": "B", "choices": {"A": "p", "B": "q", "C": "r"}}


@pytest.mark.parametrize("name", SIZES)
def test_every_row_of_the_local_copies_becomes_an_item(name, benchmarks):
    items = read_items(load_task(name), "test", benchmarks)
    assert len(items) == SIZES[name]
    assert all(item.item.gold and item.item.content for item in items)
    if name in ("math", "mmlu"):
        assert len({item.item.stratum for item in items}) > 30


def test_a_row_that_is_none_is_named():
    for make, row, words in (
        (gsm8k, {"question": "?"}, "column 'answer' is missing; the columns are question"),
        (gsm8k, {"question": "?", "answer": "9"}, "holds no '####'"),
        (math, {"problem": "?", "solution": "9", "type": "", "level": ""}, "boxes no answer"),
        (BUILT_IN["mmlu"], {"question": "?", "choices": ["a"], "answer": 4, "subject": "x"}, "option 4 is right"),
        (gsm8k, {"question": None, "answer": "#### 1"}, "are these the columns of this task"),
        (lambda row: "text", {}, "must give an Item, not str"),
    ):
        with pytest.raises(InputError, match=words):
            make_item(make, row, "task t, row 7")
    with pytest.raises(InputError, match="or an import path"):
        item_maker("gsm")


@pytest.mark.parametrize("part", ["content", "gold", "stratum", "key"])
def test_the_parts_of_an_item_are_texts(part):
    item = replace(Item("How many?", "5", {}), **{part: 5})
    with pytest.raises(InputError, match=f"task t, row 7: {part} of the Item is 5, but must be text"):
        make_item(lambda row: item, {}, "task t, row 7")


def test_options_move_around_the_end_and_the_right_one_with_them():
    item = choices("Which?", ["red", "green", "blue"], right=2, stratum="colours", key="7")
    moved = reordered(item, 1)
    assert moved.fields["choices"] == {"A": "blue", "B": "red", "C": "green"}
    assert json.loads(moved.gold) == {"answer": "A", "choices": {"A": "blue", "B": "red", "C": "green"}}
    assert (moved.content, moved.stratum, moved.key) == (item.content, "colours", "7")
    assert reordered(item, 0) == item


def test_fields_of_ones_own_stay_where_options_move():
    """Templates may name them in any order; an item need not have a question among them."""
    fields = {"passage": "It is red.", "subject": "Art", "choices": {"A": "red", "B": "blue"}, "answer": "A"}
    item = Item("Which?", json.dumps({"answer": "A", "choices": fields["choices"]}), fields, "colours", "7")
    moved = reordered(item, 1)
    assert moved.fields == fields | {"choices": {"A": "blue", "B": "red"}, "answer": "B"}
    assert json.loads(moved.gold) == {"answer": "B", "choices": {"A": "blue", "B": "red"}}
    assert (moved.content, moved.stratum, moved.key) == ("Which?", "colours", "7")


@given(st.lists(st.text("xyz", min_size=1), min_size=2, max_size=6, unique=True), st.data())
def test_over_as_many_orders_as_options_the_right_one_stands_at_every_place(options, data):
    right = data.draw(st.integers(0, len(options) - 1))
    orders = [reordered(choices("Which?", options, right), times) for times in range(len(options))]
    assert sorted(order.fields["answer"] for order in orders) == list("ABCDEF"[: len(options)])
    assert all(order.fields["choices"][order.fields["answer"]] == options[right] for order in orders)
    with pytest.raises(InputError, match=f"has {len(options)} options, too few for {len(options) + 1} orders"):
        reordered(orders[0], len(options))


@pytest.mark.parametrize(
    ("option", "free"),
    [
        ("All of the above", False), ("None of the above.", False), ("Both A and B", False), ("A or C", False),
        ("neither B nor C", False), ("both of A and D are right", False), ("B", False), ("the following", False),
        ("Both (A) and (B)", False), ("Neither (A) nor (B)", False), ("(A) or (C)", False), ("Neither of A, B", False),
        ("All of the Above", False), ("NONE OF THE ABOVE", False), ("A AND B", False), ("Both are a fruit", True),
        ("Neither a gas nor a solid", True), ("BOTH of them", True),
        ("A, B, and C", False), ("(A), (B), and (C)", False), ("A & B", False), ("A/B", False), ("A, C", False),
        ("A only", False), ("(A) only", False), ("Only (B)", False), ("Answer A is correct", False),
        ("Option C", False), ("C, H, and O", False), ("the A/C current", False),  # taken for others: asked once
        ("vitamin B", True), ("DNA only", True), ("only Argon", True), ("Choice of A", True), ("A, a vowel", True),
        ("A dog and a cat", True), ("Vitamin C", True), ("both of them", True), ("12 above-ground", False),
        ("I and II only", True), ("a and b are equal", True), ("C. elegans", True), ("42", True),
    ],
)  # fmt: skip
def test_an_option_that_speaks_of_others_must_not_move(option, free):
    assert movable(choices("Which?", ["red", option, "blue"], right=0)) == free


def test_only_options_can_be_reordered():
    with pytest.raises(InputError, match="has no options, so they cannot stand in another order"):
        reordered(gsm8k({"question": "How many?", "answer": "1+1\n#### 2"}), 1)
