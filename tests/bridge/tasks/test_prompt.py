"""Prompts: what stands where in their chat turns, and templates reach nothing but their fields."""

import pytest

from hierrouter_jax.bridge.tasks.items import Item
from hierrouter_jax.bridge.tasks.prompt import TaskPrompt
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Turn

PROMPT = TaskPrompt("Q: {{ q }}", "A: {{ a }}", "Add.", "A number.")
ONE, TWO = (Item(q, a, {"q": q, "a": a}) for q, a in (("1+1", "2"), ("2+2", "4")))


def test_zero_shot_by_hand():
    assert PROMPT.turns(ONE) == [Turn("user", "Add.\n\nQ: 1+1\n\nA number.")]


def test_one_shot_by_hand():
    assert PROMPT.turns(ONE, [TWO]) == [
        Turn("user", "Add.\n\nQ: 2+2"),
        Turn("assistant", "A: 4"),
        Turn("user", "Q: 1+1\n\nA number."),
    ]


def test_templates_are_in_a_sandbox_and_strict():
    with pytest.raises(InputError, match=r"prompt.question: 'p' is undefined; the fields are q, a"):
        TaskPrompt("{{ p }}", "").turns(ONE)
    with pytest.raises(InputError, match=r"prompt\.question"):
        TaskPrompt("{{ q.__class__.__mro__[1].__subclasses__() }}", "").turns(ONE)
    with pytest.raises(InputError, match="answer is not a template"):
        TaskPrompt("{{ q }}", "{% if %}")
