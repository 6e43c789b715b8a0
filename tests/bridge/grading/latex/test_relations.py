"""Equations and inequalities taken apart."""

import pytest

from hierrouter_jax.bridge.grading.latex.relations import UNKNOWN, Bounds, bounds, joined_bounds, sides


def test_sides_are_parted_at_the_outermost_signs():
    assert sides("x = 3 + y = 4") == (["x", "3 + y", "4"], ["=", "="])
    assert sides("f(a=b) = c") == (["f(a=b)", "c"], ["="])
    assert sides("1 < x", ("<",)) == (["1", "x"], ["<"])
    assert sides("x") == (["x"], [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x < 3", Bounds("", "3")),
        ("3 > x", Bounds("", "3")),
        (r"0 < x \le 5", Bounds("0", "5", "(", "]")),
        (r"5 \ge x > 0", Bounds("0", "5", "(", "]")),
        (r"x \ge -1", Bounds("-1", "", "[")),
        ("x + 1", None),
        ("x = 3", None),
        ("1 < x > 0", None),
        ("0 < 1 < 2", None),
    ],
)
def test_bounds_of_one_variable(text, expected):
    assert bounds(text) == expected


def test_joined_inequalities():
    assert joined_bounds("x < 0 or x > 2") == ("or", [Bounds("", "0"), Bounds("2", "")])
    assert joined_bounds(r"x > 0 \text{ and } x \le 2") == ("and", [Bounds("0", ""), Bounds("", "2", "(", "]")])
    assert joined_bounds("x > 0, x < 2") == (",", [Bounds("0", ""), Bounds("", "2")])
    assert joined_bounds("x < 0") is None
    assert joined_bounds("3, 5") is None


@pytest.mark.parametrize(
    ("text", "unknown"),
    [("x", True), ("x_1", True), ("f(2)", True), ("AB", True), (r"\angle ABC", True), ("3", False), ("x + 1", False)],
)
def test_what_may_be_the_unknown(text, unknown):
    assert bool(UNKNOWN.fullmatch(text)) == unknown
