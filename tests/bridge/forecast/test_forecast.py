"""A collection's forecast by hand, and from what is on this machine."""

import json
from dataclasses import replace

import pytest

from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import collect
from hierrouter_jax.bridge.forecast import (
    forecast_collection,
    query_questions,
)
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.pool import ModelConfig
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.cli.configs import CollectConfig
from hierrouter_jax.cli.forecast import print_forecast
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.table import Turn
from tests.bridge.forecast.pools import POOL, QUERIES, TAKEN


@pytest.fixture(scope="module")
def forecast():
    return forecast_collection(query_questions(QUERIES), POOL, 2, TAKEN)


def test_calls_tokens_and_cost_by_hand(forecast):
    """Two texts of three questions. Prompts of 4 and 6 characters; then a line more, and a response of 6 or 12."""
    assert [(c.hop, c.model, c.hops, c.fewest, c.most) for c in forecast.calls] == [
        (1, "small", 3, 2, 2),
        (1, "large", 3, 2, 2),
        (2, "small", 6, 2, 4),
        (2, "large", 6, 2, 4),
    ]
    tokens = [(c.expected.tokens_in, c.expected.tokens_out, c.expected.cost) for c in forecast.calls]
    assert tokens == [(10, 12, 22), (10, 24, 92), (60, 24, 84), (60, 48, 264)]
    at_cap = [(c.at_cap.tokens_in, c.at_cap.tokens_out) for c in forecast.calls]
    assert at_cap == [(10, 20), (10, 40), (84, 40), (84, 80)]
    total = forecast.total()
    assert (total["hops"], total["fewest"], total["most"]) == (18, 8, 12)
    assert total["expected"]["cost"] == 462


def test_operations_and_hours_by_hand(forecast):
    """Reading 4 and 6 tokens, then writing 6 more of each: 2 x 100 a token and 2 n^2 of attention."""
    load = forecast.calls[0].expected
    reading = 200 * 10 + 2 * (4**2 + 6**2)
    writing = 200 * 22 + 2 * (10**2 + 12**2) - reading
    assert (load.reading_flops, load.writing_flops) == (reading, writing)
    assert load.hours == pytest.approx((reading / 0.5 + writing / 0.25) / 3600)


def test_prompts_that_show_only_the_last_response_or_say_who_gave_it():
    questions = query_questions(QUERIES)
    last = forecast_collection(questions, replace(POOL, prompt=HopPrompt(responses="last")), 3, TAKEN)
    assert [c.expected.tokens_in / c.most for c in last.calls[2:]] == [15, 15, 15, 15]
    assert [c.fewest for c in last.calls] == [2, 2, 2, 2, 0, 0]
    named = forecast_collection(questions, replace(POOL, prompt=HopPrompt(response="{model}: {response}")), 3, TAKEN)
    assert [c.fewest for c in named.calls] == [c.most for c in named.calls] == [2, 2, 4, 4, 8, 8]


@pytest.mark.parametrize(
    ("prompt", "calls"),
    [
        (HopPrompt(), 12),
        (HopPrompt(responses="none"), 4),
        (HopPrompt(responses="last"), 8),
        (HopPrompt(responses="last", response="{model}: {response}"), 12),
        (HopPrompt(responses="last", response="{number}: {response}"), 12),
        (HopPrompt(responses="last", response="{number} {model}: {response}"), 20),
    ],
)
def test_the_fewest_calls_are_those_of_models_that_always_answer_alike(programmed, prompt, calls):
    """Two texts and two models make four calls at the first hop, and as many at each later one, or twice as many."""
    total = forecast_collection(query_questions(QUERIES), replace(POOL, prompt=prompt), 3, TAKEN).total()
    backends = [programmed(name, lambda prompt: "alike") for name in ("small", "large")]
    graded = one_by_one(exact_match), CallCache(None)
    collect(QUERIES, backends, HopTree(2, 3), NGramEncoder(size=8), prompt, *graded, progress=False)
    assert total["fewest"] == sum(len(batch) for backend in backends for batch in backend.asked) == calls


def test_worked_examples_are_read_by_models_and_not_by_the_encoder():
    """Turns of 2 and 1 characters, an empty line after each: 7 more."""
    shown = replace(QUERIES[0], shots=(Turn("user", "1+"), Turn("assistant", "2")))
    forecast = forecast_collection(query_questions([shown]), POOL, 1, TAKEN)
    assert forecast.calls[0].expected.tokens_in == 2 + 2 + 1 + 2 + len("abc\n")
    assert query_questions([shown, *QUERIES]).distinct == 3


def test_models_beside_the_pool_are_called_once_for_each_question():
    beside = ModelConfig("larger", "none/large", max_new_tokens=20, base_rate=9.0)
    *_, last = forecast_collection(query_questions(QUERIES), replace(POOL, external=(beside,)), 2, TAKEN).calls
    assert (last.hop, last.model, last.hops, last.fewest, last.most) == (0, "larger", 3, 2, 2)
    assert last.expected.cost == 9 * (10 + 24)


def test_a_dry_run_prints_its_numbers_and_all_that_they_rest_on(tmp_path, capsys):
    sizes = ", ".join(f"{name}: {{parameters: {10**9}, layers: 2, width: 8}}" for name in ("none/small", "none/large"))
    (tmp_path / "taken.yaml").write_text(
        "device: abacus\npeak_flops: 1.0e+12\nreading_utilisation: 0.5\nwriting_utilisation: 0.05\n"
        f"sizes: {{{sizes}}}\n"
    )
    for as_json in (False, True):
        print_forecast(QUERIES, POOL, CollectConfig(horizon=2, assumptions=str(tmp_path / "taken.yaml")), as_json)
    *text, line = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert said["total"]["most"] == 12
    assert said["models"]["large"]["expected"]["tokens_out"] == 6 * 20
    assert [call["hop"] for call in said["calls"]] == [1, 1, 2, 2]
    printed = "\n".join(text)
    for words in ("18 hops from at most 12 calls; at least 8", "abacus, 1 TFLOP/s", "5% while writing", "25 tokens/s"):
        assert words in printed
    assert "small: tokens are characters / 4" in printed
