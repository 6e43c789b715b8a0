"""A collection's budget is never passed, and what counts in it."""

import math

import pytest

from hierrouter_jax.bridge.backends import Failure, NoTokenizer
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import Budget, BudgetReached, CallsFailed, Meter
from hierrouter_jax.bridge.collect.budget import charged_tokens, counts_tokens
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.notes import table_notes
from tests.bridge.collect.conftest import failing


def test_a_budget_is_never_passed_and_a_larger_one_goes_on(run_pair, pair):
    """A first call reads 12 characters or more and may write 60 at price 2, so that it may cost more than 130."""
    cache, spent = CallCache(None), []
    for limit in (131, 150, 200, 300):
        with pytest.raises(BudgetReached, match=rf"--max_cost {limit}: .* of 18 hops are done and kept: the same com"):
            run_pair(pair, cache, budget=Budget(max_cost=limit))
        spent.append(Meter(pair, cache).total)
        assert spent[-1] <= limit
    assert 0 == spent[0] < spent[1] < spent[2] < spent[3]
    table = run_pair(pair, cache, budget=Budget(max_cost=1000))
    assert table.available.all()
    prompts = [prompt for backend in pair for batch in backend.asked for prompt in batch]
    assert sum(len(backend.asked) for backend in pair) == table.settings["calls"] == 18 >= len(set(prompts))
    assert Meter(pair, cache).total == table.cost.sum()


def test_hours_are_those_of_this_run_by_the_slowest_batch(pair):
    """A batch takes 500 seconds; after 3,000 of the hour there is time for one more call, but not for two."""
    now = [0.0]
    meter = Meter(pair, CallCache(None), Budget(max_hours=1.0), clock=lambda: now[0])
    meter.begin(pair[0], ["x"])
    now[0] = 500.0
    meter.end(pair[0], {"x": pair[0].answer("x")})
    assert meter.seconds == 500
    now[0] = 3000.0
    with pytest.raises(BudgetReached, match=r"max_hours 1: 0\.833 hours are over, and the next 2 calls of ok take"):
        meter.begin(pair[0], ["y", "z"])
    meter.begin(pair[0], ["y"])
    with pytest.raises(InputError, match="max_hours is 0"):
        Budget(max_hours=0)


def test_a_pause_is_no_time_of_the_run(pair):
    """Of 4,000 seconds 3,000 are a pause, which begins when the call under way has ended."""
    now = [0.0]
    meter = Meter(pair, CallCache(None), Budget(max_hours=1.0), clock=lambda: now[0])
    meter.begin(pair[0], ["x"])
    meter.pause()
    now[0] = 600.0
    meter.end(pair[0], {"x": pair[0].answer("x")})
    meter.pause()
    now[0] = 2000.0
    meter.pause()
    now[0] = 3600.0
    meter.begin(pair[0], ["y"])
    now[0] = 4000.0
    assert meter.seconds == 600 + 400
    meter.end(pair[0], {"y": pair[0].answer("y")})
    assert meter.seconds == 1000
    meter.begin(pair[0], ["z"])


def test_the_largest_charges_of_calls_under_way_count(pair):
    """A prompt of 5 characters and 60 tokens at price 2: 125 a call, so that 260 lets two be under way, not three."""
    meter = Meter(pair, CallCache(None), Budget(max_cost=260))
    meter.begin(pair[0], ["aaaaa"])
    meter.begin(pair[0], ["bbbbb"])
    with pytest.raises(BudgetReached, match=r"0 price units are spent, .* may take that to 375"):
        meter.begin(pair[0], ["ccccc"])
    meter.end(pair[0], {"aaaaa": pair[0].answer("aaaaa")})  # 5 read, 3 written at 2
    assert meter.total == 11
    with pytest.raises(BudgetReached, match="may take that to 261"):
        meter.begin(pair[0], ["ccccc"])
    meter.end(pair[0], {"bbbbb": pair[0].answer("bbbbb")})
    meter.begin(pair[0], ["ccccc"])


def test_calls_that_are_given_up_are_no_longer_under_way(pair):
    """Their largest charges would otherwise keep a later pass from beginning any call, for ever."""
    now = [0.0]
    meter = Meter(pair, CallCache(None), Budget(max_cost=260), clock=lambda: now[0])
    for backend in pair:
        meter.begin(backend, ["aaaaa"])
    now[0] = 3.0
    meter.give_up(pair[0])
    assert meter.under_way == 1
    meter.give_up(pair[1])
    now[0] = 9.0
    assert (meter.under_way, meter.seconds, meter.total) == (0, 3.0, 0.0)
    meter.begin(pair[0], ["aaaaa"])
    meter.begin(pair[0], ["bbbbb"])


def test_a_failed_call_is_charged_by_the_run_that_made_it_alone(pair):
    """A prompt of 5 characters at price 1; the other call reads as many and writes 3 at price 2."""
    cache = CallCache(None)
    meter = Meter(pair, cache)
    answers = {"aaaaa": Failure("slow"), "bbbbb": pair[0].answer("bbbbb")}
    meter.begin(pair[0], list(answers))
    meter.end(pair[0], answers)
    cache.put_many(pair[0].identity, answers)
    assert (meter.total, meter.earlier) == (5 + 11, 0)
    assert Meter(pair, cache).earlier == 11


def test_a_failed_call_without_a_tokenizer_is_charged_an_estimate(run_pair, pair):
    """The prompt of the failing call has 21 characters, so it counts as 6 tokens."""

    def count_tokens(prompts):
        raise NoTokenizer("name a source")

    failing(pair, "validation?\nok")
    pair[0].count_tokens = count_tokens
    with pytest.raises(CallsFailed, match="1 calls failed"):
        run_pair(pair)
    table = run_pair(pair, keep_failed=True)
    (at,) = zip(*(table.details["finish_reason"] == "failed").nonzero(), strict=True)
    assert table.queries[at[0]].split == "validation"
    assert table.tokens_in[at] == math.ceil(len("Is it validation?\nok\n") / 4) == 6
    (note,) = [note for note in table_notes(table.settings) if "calls failed" in note]
    assert "with their prompts charged (estimated for ok, which has no tokenizer)" in note


def test_failed_calls_are_charged_their_prompts_counted_or_estimated(pair):
    """A token is a character where it can be counted, and else a quarter of one, rounded up."""
    assert counts_tokens(pair[0])
    assert charged_tokens(pair[0], ["abcde", "f"]) == [5, 1]

    def count_tokens(prompts):
        raise NoTokenizer("name a source")

    pair[0].count_tokens = count_tokens
    assert not counts_tokens(pair[0])
    assert charged_tokens(pair[0], ["abcde", "f"]) == [2, 1]
    assert charged_tokens(pair[0], []) == []
