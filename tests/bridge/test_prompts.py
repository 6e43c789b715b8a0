"""The prompt is what the specialists are trained on, and a line is always one query or response."""

import pytest

from hierrouter_jax.bridge.pool import load_prompt
from hierrouter_jax.bridge.prompts import HopPrompt, OwnPrompt
from hierrouter_jax.config import config_path
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


def test_a_revision_is_asked_for_only_where_there_is_something_to_revise():
    prompt = HopPrompt(revision="Check it.\n", closing="A:")
    assert prompt("Q") == "Q\nA:"
    assert prompt("Q", ["6"]) == "Q\n6\nCheck it.\nA:"
    assert prompt("Q", [None]) == "Q\nA:"  # the response was trimmed away


def test_a_member_may_be_told_otherwise():
    prompt = HopPrompt(
        revision="Check it.\n", closing="A:", members={"brief": OwnPrompt(revision="Again, short.\n", closing="")}
    )
    assert prompt.of("other") is prompt
    assert prompt.of("brief")("Q", ["6"]) == "Q\n6\nAgain, short.\n"
    assert prompt.of("brief")("Q") == "Q\n"


@pytest.mark.parametrize("responses", ["all", "last"])
def test_a_control_reads_the_query_alone(responses):
    prompt = HopPrompt(
        revision="Check it.\n",
        closing="A:",
        responses=responses,
        members={"twin": OwnPrompt(fresh="large", closing="B:")},
    )
    assert prompt.of("twin")("Q", ["6", "7"], ["a", "b"]) == "Q\nB:"
    assert prompt.of("large")("Q", ["6"]) == "Q\n6\nCheck it.\nA:"
    assert [len(prompt.of(name).shown(3)) for name in ("large", "twin")] == [3 if responses == "all" else 1, 0]


def test_no_preset_speaks_of_answers_on_the_first_hop():
    """A text for later hops in `closing` would be read on hop 1, where there is nothing to correct."""
    for path in config_path("prompt/paper.yaml").parent.glob("*.yaml"):
        prompt = load_prompt(path)
        assert prompt("Q") == "Q\n", path.name
        assert "draft" in prompt("Q", ["a draft"], ["m"])
