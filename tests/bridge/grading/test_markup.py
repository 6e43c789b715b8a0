"""What a response sets apart: boxes, tags and reasoning; and the numbers of lists and steps, which are no answers."""

import pytest

from hierrouter_jax.bridge.grading.markup import (
    IN_CODE,
    IN_PROSE,
    boxes,
    braces_end,
    is_item,
    last_box,
    names_box,
    starts_list,
    tags,
    unfinished,
    without_marker,
    without_steps,
    without_thinking,
)


def test_a_box_that_is_only_named_is_none():
    assert boxes(r"use \boxed to mark it, or \boxed{}") == []
    assert tags("an empty <answer></answer>") == []


def test_the_item_before_decides_of_a_number_alone():
    assert without_marker("4.", ["3. three"]) == ""
    assert without_marker("4.", ["2. two"]) == "4."
    assert without_marker("**4)**", ["(3) three"]) == ""
    assert without_marker("(4", ["(3) three"]) == ""
    assert without_marker("4", ["4. four", "5. five"]) == "4"
    assert without_marker("1.", ["The steps are as follows:"]) == ""
    assert without_marker("1.", ["The number of cats is:"]) == "1."


@pytest.mark.parametrize("heading", ["Step {}: so", "Step 1.{}: so", "第{}步", "Case {}: so"])
def test_a_number_without_end_names_no_part(heading):
    """Python refuses to read more than 4,300 digits as a number."""
    assert without_marker("2.", [heading.format("1" * 5000)]) == "2."
    assert without_marker("2.", [heading.format("1")]) == ""


def test_parts_of_a_text():
    assert without_steps("by step 3, 7 eggs").split() == ["by", ",", "7", "eggs"]
    assert without_steps("3 steps of 30 cm") == "3 steps of 30 cm"
    assert without_steps("a step 30% higher") == "a step 30% higher"
    assert is_item("3. Add")
    assert not is_item("3.")
    assert not is_item("3 apples")
    assert starts_list("\n1. Add")
    assert not starts_list("\n18. Because")
    assert not starts_list("1")


@pytest.mark.parametrize("text", ["3 +", "3 *", "= 30 *", "a =", r"\frac{3}{4", r"\[ 3", "$$ 3", r"3 \times", "9 -"])
def test_a_computation_that_breaks_off(text):
    assert unfinished(text)


@pytest.mark.parametrize(
    "text", ["3", "**3**", "*3*", r"\[ 3 \]", "$$3$$", "3.", "<answer>3</answer>", r"It is \(3\)", "\\[ 3\n\nSo 3."]
)
def test_a_text_that_ends(text):
    assert not unfinished(text)


def test_reasoning_by_hand():
    assert without_thinking("a\n<think>b</think>c", IN_CODE) == "a\nc"
    assert without_thinking("a <think>b</think> c", IN_CODE) == "a <think>b</think> c"  # within a line
    assert without_thinking("a\n</think>\nb", IN_CODE) == "\nb"


def test_boxes_and_tags_by_hand():
    assert boxes(r"$x = \boxed{2}$ or \boxed{3}. So \fbox{7}.") == [(5, "2, 3"), (33, "7")]
    assert boxes("\\boxed{2}\n\nNo: \\boxed{{a}}") == [(0, "2"), (15, "{a}")]
    assert tags("<answer>7</answer> [answer]8\n\n9") == [(0, "7"), (19, "8")]
    assert last_box(r"\boxed{1}, \boxed{2}, \boxed{}") == "2"
    assert last_box("none") is None
    assert names_box(r"in a \boxed{}")
    assert not names_box("boxed")


def test_braces_by_hand():
    assert braces_end("a{b{c}}d", 1) == 7
    assert braces_end(r"{a\}b}", 0) == 6
    assert braces_end("{a", 0) == braces_end("a", 0) == 0


@pytest.mark.parametrize(
    ("response", "prose", "code"),
    [
        ("a\n<think>b</think>\nc", "\nc", "a\n\nc"),
        ("a <think>b</think> c", " c", "a <think>b</think> c"),
        ("a\n<think>b", "a\n", "a\n"),
        ("a\n</think>\nb", "\nb", "\nb"),
        ("a\n[THINK]b[/THINK]\nc", "a\n[THINK]b[/THINK]\nc", "a\n\nc"),
        ("<scratchpad>a</scratchpad>b", "b", "<scratchpad>a</scratchpad>b"),
        ("a", "a", "a"),
    ],
)
def test_prose_ends_with_its_answer_and_code_stands_at_both_ends_of_a_thought(response, prose, code):
    assert without_thinking(response, IN_PROSE) == prose
    assert without_thinking(response, IN_CODE) == code
