"""The context window: the query stays, the oldest response goes first, and what went is told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierrouter_jax.bridge.fitting import fitted_prompts, hop_contexts
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.table import Context, Turn


@pytest.fixture
def narrow(programmed):
    """A token is a character; 20 of them fit beside the response."""
    backend = programmed("narrow", str)
    backend.positions = backend.max_new_tokens + 20
    return backend


def test_the_oldest_response_is_trimmed_by_hand(narrow):
    """Query and line ends take 6 of 20; 14 are left for the 24 characters of the responses."""
    contexts = [Context("ask", ("0123456789ab", "cdefghijklmn")), Context("ask", ("short",))]
    prompts, trimmed = fitted_prompts(HopPrompt(), contexts, narrow)
    assert prompts == ["ask\nab\ncdefghijklmn\n", "ask\nshort\n"]
    assert trimmed == [10, 0]
    assert fitted_prompts(HopPrompt(responses="last"), contexts, narrow) == (
        ["ask\ncdefghijklmn\n", "ask\nshort\n"],
        [0, 0],
    )


@given(st.lists(st.text("ab", max_size=30), max_size=4))
def test_what_is_left_fits_and_keeps_query_and_tail(responses):
    class Counter:
        name, positions, max_new_tokens = "c", 30, 10

        def count_tokens(self, prompts):
            return [len(prompt) for prompt in prompts]

    ((prompt,), (trimmed,)) = fitted_prompts(HopPrompt(), [Context("ask", tuple(responses))], Counter())
    full = HopPrompt()("ask", responses)
    assert len(prompt) <= 20
    assert trimmed == len(full) - len(prompt)
    assert prompt.startswith("ask\n")
    assert full.endswith(prompt[4:])


def test_a_prompt_that_cannot_fit_is_refused(narrow):
    with pytest.raises(InputError, match=r"'narrow': a prompt of 31 tokens without earlier responses"):
        fitted_prompts(HopPrompt(), [Context("q" * 30, ("a",))], narrow)


def test_layouts_name_who_said_what_and_keep_shots_apart():
    layout = HopPrompt(response="{number} {model}: {response}")
    shots = (Turn("user", "1+1"), Turn("assistant", "2"))
    assert layout("q", ["{model}", "b"], ["x", "y"]) == "q\n1 x: {model}\n2 y: b\n"
    assert HopPrompt()("q", ["a"], shots=shots) == (*shots, Turn("user", "q\na\n"))
    with pytest.raises(InputError, match=r"names {model}, but 0 models are told for 1 responses"):
        layout("q", ["a"])
    with pytest.raises(InputError, match=r"unknown placeholder {modle}; did you mean model\?"):
        HopPrompt(response="{response} {modle}")


def test_the_contexts_of_a_models_second_hop_by_hand(programmed, run_small):
    """Two models, two hops: after each model's first response comes the second model's hop, at nodes 4 and 6."""
    table = run_small([programmed(name, lambda prompt, name=name: f"by {name}") for name in ("a", "b")], HopTree(2, 2))
    possible = np.array([[True, True], [False, True]])
    cells, contexts = hop_contexts(table, possible, stage=1, model=1)
    assert cells == [(0, 4), (0, 6), (1, 6)]
    assert contexts == [
        Context("one", ("by a",), ("a",)),
        Context("one", ("by b",), ("b",)),
        Context("two", ("by b",), ("b",)),
    ]
