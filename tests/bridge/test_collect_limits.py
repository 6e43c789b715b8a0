"""Budgets, failed calls and partial trees of a collection."""

import math
from dataclasses import replace

import numpy as np
import pytest

from hierrouter_jax.bridge.backends import Failure, NoTokenizer
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import Budget, BudgetReached, CallsFailed, Meter, collect
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.notes import table_notes
from hierrouter_jax.outcomes.table import Query

TREE = HopTree(2, 2)
QUERIES = [Query(split, f"Is it {split}?", "task", "ok", split) for split in ("train", "validation", "test")]


@pytest.fixture
def pool(programmed):
    """Two models that answer with their name; every call costs its prompt's length and twice 61 at most."""
    return [programmed(name, lambda prompt, name=name: name) for name in ("ok", "no")]


@pytest.fixture
def run():
    def run(pool, cache=None, queries=QUERIES, tree=TREE, batch_size=1, **limits):
        arguments = (
            queries,
            pool,
            tree,
            NGramEncoder(size=256),
            HopPrompt(),
            one_by_one(exact_match),
            cache or CallCache(None),
        )
        return collect(*arguments, batch_size, progress=False, **limits)

    return run


def failing(pool, text):
    """The first model fails at prompts that hold a text."""
    answer = pool[0].generate

    def generate(prompts):
        return [Failure("too long") if text in p else a for p, a in zip(prompts, answer(prompts), strict=True)]

    pool[0].generate = generate
    return answer


def test_a_budget_is_never_passed_and_a_larger_one_goes_on(run, pool):
    """A first call reads 12 characters or more and may write 60 at price 2, so that it may cost more than 130."""
    cache, spent = CallCache(None), []
    for limit in (131, 150, 200, 300):
        with pytest.raises(BudgetReached, match=rf"--max_cost {limit}: .* of 18 hops are done and kept: the same com"):
            run(pool, cache, budget=Budget(max_cost=limit))
        spent.append(Meter(pool, cache).total)
        assert spent[-1] <= limit
    assert 0 == spent[0] < spent[1] < spent[2] < spent[3]
    table = run(pool, cache, budget=Budget(max_cost=1000))
    assert table.available.all()
    prompts = [prompt for backend in pool for batch in backend.asked for prompt in batch]
    assert sum(len(backend.asked) for backend in pool) == table.settings["calls"] == 18 >= len(set(prompts))
    assert Meter(pool, cache).total == table.cost.sum()


def test_hours_are_those_of_this_run_by_the_slowest_batch(pool):
    """A batch takes 500 seconds; after 3,000 of the hour there is time for one more call, but not for two."""
    now = [0.0]
    meter = Meter(pool, CallCache(None), Budget(max_hours=1.0), clock=lambda: now[0])
    meter.begin(pool[0], ["x"])
    now[0] = 500.0
    meter.end(pool[0], {"x": pool[0].answer("x")})
    assert meter.seconds == 500
    now[0] = 3000.0
    with pytest.raises(BudgetReached, match=r"max_hours 1: 0\.833 hours are over, and the next 2 calls of ok take"):
        meter.begin(pool[0], ["y", "z"])
    meter.begin(pool[0], ["y"])
    with pytest.raises(InputError, match="max_hours is 0"):
        Budget(max_hours=0)


def test_a_pause_is_no_time_of_the_run(pool):
    """Of 4,000 seconds 3,000 are a pause, which begins when the call under way has ended."""
    now = [0.0]
    meter = Meter(pool, CallCache(None), Budget(max_hours=1.0), clock=lambda: now[0])
    meter.begin(pool[0], ["x"])
    meter.pause()
    now[0] = 600.0
    meter.end(pool[0], {"x": pool[0].answer("x")})
    meter.pause()
    now[0] = 2000.0
    meter.pause()
    now[0] = 3600.0
    meter.begin(pool[0], ["y"])
    now[0] = 4000.0
    assert meter.seconds == 600 + 400
    meter.end(pool[0], {"y": pool[0].answer("y")})
    assert meter.seconds == 1000
    meter.begin(pool[0], ["z"])


def test_the_largest_charges_of_calls_under_way_count(pool):
    """A prompt of 5 characters and 60 tokens at price 2: 125 a call, so that 260 lets two be under way, not three."""
    meter = Meter(pool, CallCache(None), Budget(max_cost=260))
    meter.begin(pool[0], ["aaaaa"])
    meter.begin(pool[0], ["bbbbb"])
    with pytest.raises(BudgetReached, match=r"0 price units are spent, .* may take that to 375"):
        meter.begin(pool[0], ["ccccc"])
    meter.end(pool[0], {"aaaaa": pool[0].answer("aaaaa")})  # 5 read, 3 written at 2
    assert meter.total == 11
    with pytest.raises(BudgetReached, match="may take that to 261"):
        meter.begin(pool[0], ["ccccc"])
    meter.end(pool[0], {"bbbbb": pool[0].answer("bbbbb")})
    meter.begin(pool[0], ["ccccc"])


def test_failed_calls_make_no_table_and_are_tried_again(run, pool):
    cache = CallCache(None)
    answer = failing(pool, "train?\nno")
    for attempt in (1, 2):
        with pytest.raises(
            CallsFailed, match=r"1 calls failed \(1 x too long\), so there is no table yet; 17 finished"
        ):
            run(pool, cache)
        (failed,) = cache.failures()
        assert (failed.identity, failed.reason, failed.attempts) == (pool[0].identity, "too long", attempt)
    pool[0].generate = answer
    table = run(pool, cache)
    assert table.available.all()
    assert "failed" not in table.settings
    assert cache.failures() == []


def test_kept_failures_are_missing_from_training_and_wrong_elsewhere(run, pool):
    """The model `ok` always fails: at nodes 1 and 5, and 3 and 4 lie below 1."""
    failing(pool, "?")
    table = run(pool, keep_failed=True)
    train, validation, test = range(3)
    assert table.available[train].tolist() == [True, False, True, False, False, False, True]
    for row in (validation, test):
        assert table.available[row].tolist() == [True, True, True, False, False, True, True]
        assert table.quality[row].tolist() == [0.0] * 7
        assert table.details["finish_reason"][row, 1] == "failed"
        assert table.details["reason"][row, 1] == "failed: too long"
        assert table.tokens_out[row, 1] == 0
        assert table.cost[row, 1] == len(f"{QUERIES[row].text}\n")
    failed = table.settings["failed"]
    assert failed["hops_counted_wrong"] == (table.details["finish_reason"] == "failed").sum()
    assert any("calls failed" in note and "count as wrong" in note for note in table_notes(table.settings))


def test_a_failed_call_without_a_tokenizer_is_charged_an_estimate(run, pool):
    """The prompt of the failing call has 21 characters, so it counts as 6 tokens."""

    def count_tokens(prompts):
        raise NoTokenizer("name a source")

    failing(pool, "validation?\nok")
    pool[0].count_tokens = count_tokens
    with pytest.raises(CallsFailed, match="1 calls failed"):
        run(pool)
    table = run(pool, keep_failed=True)
    (at,) = zip(*(table.details["finish_reason"] == "failed").nonzero(), strict=True)
    assert table.queries[at[0]].split == "validation"
    assert table.tokens_in[at] == math.ceil(len("Is it validation?\nok\n") / 4) == 6
    (note,) = [note for note in table_notes(table.settings) if "calls failed" in note]
    assert "with their prompts charged (estimated for ok, which has no tokenizer)" in note


def test_an_endpoint_that_is_down_is_given_up(run, programmed):
    backend = programmed("down", lambda prompt: "x")
    backend.generate = lambda prompts: [Failure("connection refused") for _ in prompts]
    many = [Query(f"q{row}", f"Query {row}", "task", "", "test") for row in range(150)]
    with pytest.raises(CallsFailed, match="gave up after 100 calls failed in a row"):
        run([backend], queries=many, tree=HopTree(1, 1))


def test_only_covered_nodes_and_those_before_them_are_run(run, pool):
    coverage = np.ones((3, TREE.num_nodes), dtype=bool)
    coverage[0] = False
    coverage[0, 5] = True  # no, ok
    table = run(pool, coverage=coverage, keep_prompts=True)
    assert table.available[0].tolist() == [True, False, True, False, False, True, False]
    assert table.details["prompt"][0, 5] == "Is it train?\nno\n"
    assert not table.context_embedding[0, 1].any()
    assert table.context_embedding[0, 2].any()
    assert table.settings["partial"] == {"training_hops": 2, "of_hops": 6}
    assert table.settings["calls"] == 14
    coverage[1, 3] = False
    with pytest.raises(InputError, match="leaves out nodes of the validation query 'validation'"):
        run(pool, coverage=coverage)
    with pytest.raises(InputError, match="coverage is int64 of shape"):
        run(pool, coverage=np.ones((3, 2), dtype=int))


def test_batches_do_not_depend_on_what_the_cache_knows(run, pool, programmed):
    """After a kill in mid-run, each batch is the one that would have been."""
    cache = CallCache(None)
    run(pool, batch_size=2)
    whole = [batch for backend in pool for batch in backend.asked]
    again = [programmed(name, lambda prompt, name=name: name) for name in ("ok", "no")]
    again[1].survives = 3
    with pytest.raises(Exception):  # noqa: B017, PT011 (the fixture's own)
        run(again, cache, batch_size=2)
    again[1].survives = float("inf")
    run(again, cache, batch_size=2)
    assert [batch for backend in again for batch in backend.asked] == whole


def test_settings_tell_of_size_tokens_and_truncation(run, pool):
    """Of 1,000 parameters 250 are embeddings; the table's pool and its settings count a token's operations alike."""
    pool[0].parameters, pool[0].price = 1000, replace(pool[0].price, parameters=1000, flops_per_token=2 * 750)
    table = run(pool)
    of_ok, of_no = table.settings["compute"]["ok"], table.settings["compute"]["no"]
    assert of_ok["parameters"] == 1000
    assert of_ok["flops_per_token"] == table.pool[0].flops_per_token == 1500
    assert of_ok["flops"] == 1500 * (of_ok["tokens_in"] + of_ok["tokens_out"])
    assert of_no["flops"] is None
    assert of_ok["tokens_in"] + of_no["tokens_in"] == table.tokens_in.sum()
    assert table.settings["trimmed_hops"] == 0
    assert table.settings["encoder"]["contexts"] == 9
