"""The prompt is what the specialists are trained on, and a line is always one query or response."""

import pytest

from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.errors import InputError


def test_default_is_a_line_each():
    assert HopPrompt()("What is 1+2+3?", ["3+3", "6"]) == "What is 1+2+3?\n3+3\n6\n"
    assert HopPrompt()("What is 1+2?") == "What is 1+2?\n"


def test_line_breaks_inside_are_folded():
    assert HopPrompt()("a\nb", ["c\r\nd\n"]) == "a b\nc d\n"


def test_layout_is_configurable():
    prompt = HopPrompt(opening="Be brief.\n", query="Q: {query}", response="So far: {response}", closing="A:")
    assert prompt("{response}", ["{query}"]) == "Be brief.\nQ: {response}\nSo far: {query}\nA:"


@pytest.mark.parametrize("field", ["query", "response"])
def test_a_line_without_its_placeholder_is_refused(field):
    with pytest.raises(InputError, match=f"{field} is 'text', but must contain {{{field}}}"):
        HopPrompt(**{field: "text"})


def test_lines_that_mean_something_are_kept_where_folding_is_off():
    prompt = HopPrompt(fold=False)
    assert prompt("def f():\n    pass", ["a\nb"]) == "def f():\n    pass\na\nb\n"
