"""Assumptions are read strictly, and those that make no sense are refused."""

from dataclasses import replace

import pytest

from hierrouter_jax.bridge.forecast import Assumptions, Rate, StatedSize, load_assumptions
from hierrouter_jax.errors import InputError
from tests.bridge.forecast.pools import TAKEN


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"peak_flops": 0.0}, "peak_flops is 0.0"),
        ({"reading_utilisation": 1.5}, "reading_utilisation is 1.5"),
        ({"response_tokens": {"task": 0}}, "response_tokens.task is 0"),
        ({"template_tokens": -1}, "template_tokens is -1"),
    ],
)
def test_assumptions_that_make_no_sense_are_refused(change, words):
    with pytest.raises(InputError, match=words):
        replace(TAKEN, **change)


@pytest.mark.parametrize("rate", [(0, 1), (1, 0), (-1, 1), (1, float("inf")), (float("nan"), 1)])
def test_a_rate_is_above_0(rate):
    with pytest.raises(InputError, match="but must be a finite number above 0"):
        Rate(*rate)


def test_a_file_of_assumptions_is_read_strictly(tmp_path):
    path = tmp_path / "abacus.yaml"
    stated = "device: abacus\npeak_flops: 2\nreading_utilisation: 0.5\nwriting_utilisation: 0.25\n"
    path.write_text(f"{stated}sizes: {{a: {{parameters: 7, layers: 3, width: 4}}}}")
    assert load_assumptions(path) == Assumptions("abacus", 2.0, 0.5, 0.25, sizes={"a": StatedSize(7, 3, 4)})
    path.write_text(f"{stated}template_token: 1")
    with pytest.raises(
        InputError, match=r"abacus\.yaml: template_token is not a field; did you mean template_tokens\?"
    ):
        load_assumptions(path)


def test_attention_of_a_token_pair_by_hand():
    """Scores and weighted sum, a multiplication and an addition of each of 4 numbers, in 3 layers."""
    assert StatedSize(7, layers=3, width=4).attention_flops == 2 * 2 * 4 * 3
