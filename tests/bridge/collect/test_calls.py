"""Calls that are under way together: kept as each ends, none waits for the slowest, and the table does not tell."""

import random
import threading
import time

import pytest

from hierrouter_jax.bridge.backends import Failure, load_backends
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import Budget, BudgetReached, Calls, CallsFailed, collect
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, PoolConfig, Sampling
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.store import load_table, save_table
from hierrouter_jax.outcomes.table import Query
from tests.bridge.collect.conftest import failing
from tests.bridge.collect.streaming import AT_ONCE, digest, pool, table_of
from tests.bridge.endpoints import Asked, Reply, completion
from tests.bridge.replies import mutated

PROMPTS = [f"prompt {row}" for row in range(12)]


def test_the_table_does_not_depend_on_the_order_in_which_calls_end(server):
    """Four runs with other delays against one."""
    server.rule = digest
    alone = table_of(server.url, CallCache(None))
    for seed in range(4):
        delays = random.Random(seed)
        server.rule = lambda asked, delays=delays: Reply(digest(asked).body, seconds=delays.random() / 100)
        table = table_of(server.url, CallCache(None))
        assert table.fingerprint == alone.fingerprint
        assert table.settings == alone.settings
        assert (table.response == alone.response).all()
        assert (table.tokens_in == alone.tokens_in).all()
    assert server.most_at_once == AT_ONCE


def test_no_slot_waits_for_the_slowest(server):
    """Of two slots one holds a call until all ten others have ended through the second: a barrier would never end."""
    others, ended = threading.Event(), list[str]()

    def rule(asked: Asked) -> Reply:
        if asked.prompt == "prompt 0":
            assert others.wait(60)
        return Reply(completion(asked, "x"))

    server.rule = rule
    (backend,) = pool(server.url, ["a"], concurrency=2)
    for part in backend.generate_each(iter(PROMPTS[:11])):
        ended += part
        if len(ended) == 10:
            others.set()
    assert ended[-1] == "prompt 0"
    assert set(ended) == set(PROMPTS[:11])
    assert server.most_at_once == 2


def test_a_call_is_kept_as_soon_as_it_has_ended(server, tmp_path):
    """While one call is under way, the cache on disk already holds the three others."""
    slow = threading.Event()

    def rule(asked: Asked) -> Reply:
        if asked.prompt == "prompt 0":
            slow.wait(60)
        return Reply(completion(asked, "x"))

    server.rule = rule
    (backend,) = pool(server.url, ["a"])
    calls = Calls([backend], CallCache(tmp_path / "calls.sqlite"))
    reader = CallCache(tmp_path / "calls.sqlite")
    done = set()
    for answers, _ in calls.ask(backend, PROMPTS[:4]):
        done |= answers.keys()
        assert reader.get_many(backend.identity, PROMPTS).keys() == done
        if len(done) == 3:
            slow.set()
    assert len(done) == 4
    assert calls.meter.calls == 4


def test_a_budget_counts_what_is_under_way(server, model_folder):
    """A call costs 8 read and 20 written at most, 8 and 2 in truth: within 60, two may be under way at first."""
    server.rule = lambda asked: Reply(completion(asked, "x"), seconds=0.02)
    config = ModelConfig(
        "a",
        source=str(model_folder()),
        kind="openai",
        max_new_tokens=20,
        base_rate=1.0,
        endpoint=Endpoint(server.url, "a", retries=0),
    )
    (backend,) = load_backends(PoolConfig((config,)))
    calls = Calls([backend], CallCache(None), budget=Budget(max_cost=60))
    with pytest.raises(BudgetReached, match=r"stopped before --max_cost 60: 40 .* to 68"):
        for _ in calls.ask(backend, PROMPTS[:10]):
            pass
    assert calls.meter.total == 40
    assert len(server.asked) == 4
    assert server.most_at_once == 2


def test_a_pause_lets_calls_end_and_begins_none_until_it_is_over(server, tmp_path, capsys):
    (tmp_path / "pause").touch()
    over: list[float] = []

    def end_pause() -> None:
        time.sleep(0.7)
        over.append(time.monotonic())
        (tmp_path / "pause").unlink()

    thread = threading.Thread(target=end_pause)
    thread.start()
    cache = CallCache(tmp_path / "calls.sqlite")
    server.rule = digest
    asked = [Query(f"q{row}", f"Query {row}", "task", "a", "test") for row in range(6)]
    arguments = asked, pool(server.url), HopTree(2, 1), NGramEncoder(size=8), HopPrompt(), one_by_one(exact_match)
    table = collect(*arguments, cache, progress=True)
    thread.join()
    assert table.available.all()
    assert min(one.at for one in server.asked) >= over[0]
    assert f"paused while there is {tmp_path / 'pause'}" in capsys.readouterr().err


def test_a_pause_in_the_middle_is_no_call_time(server, tmp_path):
    """The calls under way end and are kept; then nothing is asked for .6 seconds, which the rate does not see."""
    server.rule = lambda asked: Reply(completion(asked, "x"), seconds=0.05)
    (backend,) = pool(server.url, ["a"], concurrency=3)
    calls = Calls([backend], CallCache(tmp_path / "calls.sqlite"), budget=Budget(max_hours=1))
    pause, paused, kept, idle_since = tmp_path / "pause", 0, 0, 0.0
    started = time.monotonic()
    for answers, _ in calls.ask(backend, PROMPTS):
        kept += len(answers)
        if answers and not paused:
            pause.touch()
            paused = 1
        elif pause.exists() and not calls.meter.under_way:
            idle_since = idle_since or time.monotonic()
            assert f"paused while there is {pause}" in calls.waits_for
            assert kept == calls.meter.calls == len(server.asked) < 12
            if time.monotonic() - idle_since > 0.6:
                pause.unlink()
    assert kept == 12
    assert calls.waits_for == ""
    assert calls.meter.seconds < time.monotonic() - started - 0.6


def test_a_local_model_pauses_between_batches(programmed, tmp_path):
    backend = programmed("local", lambda prompt: "x")
    calls = Calls([backend], CallCache(tmp_path / "calls.sqlite"), batch_size=5)
    waited = 0
    for answers, called in calls.ask(backend, PROMPTS):
        if called and answers and len(backend.asked) == 1:
            (tmp_path / "pause").touch()
        elif called and not answers:
            waited += 1
            assert len(backend.asked) == 1
            if waited == 2:
                (tmp_path / "pause").unlink()
    assert [len(batch) for batch in backend.asked] == [5, 5, 2]
    assert waited == 2


@pytest.mark.parametrize("by_model", [True, False])
def test_a_pass_that_was_stopped_is_gone_on_with(programmed, killed, by_model):
    """By the model, which dies at its second batch of two, or by a reader who leaves after the first."""
    backend = programmed("local", lambda prompt: "x")
    calls, made = Calls([backend], CallCache(None), batch_size=2), {}
    if by_model:
        backend.survives = 1
        with pytest.raises(killed):
            list(calls.ask(backend, PROMPTS[:6]))
        backend.survives = float("inf")
    else:
        left = calls.ask(backend, PROMPTS[:6])
        assert [called for _, called in (next(left), next(left))] == [False, True]
    assert calls.meter.under_way == 0
    for answers, _ in calls.ask(backend, PROMPTS[:6]):
        made |= answers
    assert made.keys() == set(PROMPTS[:6])
    assert [len(batch) for batch in backend.asked] == [2, 2, 2]


def test_a_call_that_failed_before_the_stop_is_not_made_again(programmed, killed):
    backend = programmed("local", lambda prompt: "x")
    failing([backend], PROMPTS[0])
    backend.survives, calls = 1, Calls([backend], CallCache(None), batch_size=2)
    with pytest.raises(killed):
        list(calls.ask(backend, PROMPTS[:4]))
    backend.survives = float("inf")
    parts = [answers for answers, _ in calls.ask(backend, PROMPTS[:4])]
    assert backend.asked == [PROMPTS[:2], PROMPTS[2:4]]
    assert [sorted(part) for part in parts] == [PROMPTS[:2], PROMPTS[2:4]]
    assert isinstance(parts[0][PROMPTS[0]], Failure)


def test_a_collection_over_mutated_replies_makes_a_table_that_later_runs_read(server, tmp_path):
    """Of 40 replies with faults some are kept and some fail; a second run makes no call that was answered again."""
    rng = random.Random(3)
    bodies = {f"Query {row}\n": mutated(rng) for row in range(40)}
    server.rule = lambda asked: Reply(bodies[asked.prompt])
    asked = [Query(f"q{row}", f"Query {row}", "task", "a", "test") for row in range(40)]
    tables = []
    for _ in range(2):
        cache = CallCache(tmp_path / "calls.sqlite")
        arguments = asked, pool(server.url, ["a"]), HopTree(1, 1), NGramEncoder(size=8), HopPrompt()
        table = collect(*arguments, one_by_one(exact_match), cache, progress=False, keep_failed=True)
        save_table(table, tmp_path / "table")
        tables.append(load_table(tmp_path / "table"))
        assert (tables[-1].response == table.response).all()
        cache.close()
    assert tables[0].fingerprint == tables[1].fingerprint
    failed = tables[0].settings["failed"]["calls"]
    assert 0 < failed < 40
    assert len(server.asked) == 40 + failed


def test_an_endpoint_that_is_down_is_given_up(run_pair, programmed):
    backend = programmed("down", lambda prompt: "x")
    backend.generate = lambda prompts: [Failure("connection refused") for _ in prompts]
    many = [Query(f"q{row}", f"Query {row}", "task", "", "test") for row in range(150)]
    with pytest.raises(CallsFailed, match="gave up after 100 calls failed in a row"):
        run_pair([backend], queries=many, tree=HopTree(1, 1))


def test_batches_do_not_depend_on_what_the_cache_knows(run_pair, pair, programmed, killed):
    """After a kill in mid-run, each batch is the one that would have been."""
    cache = CallCache(None)
    run_pair(pair, batch_size=2)
    whole = [batch for backend in pair for batch in backend.asked]
    again = [programmed(name, lambda prompt, name=name: name) for name in ("ok", "no")]
    again[1].survives = 3
    with pytest.raises(killed):
        run_pair(again, cache, batch_size=2)
    again[1].survives = float("inf")
    run_pair(again, cache, batch_size=2)
    assert [batch for backend in again for batch in backend.asked] == whole


@pytest.mark.parametrize(("temperature", "requests"), [(0.0, 3), (0.7, 4)])
def test_a_greedy_response_that_ended_is_that_under_any_larger_limit(server, temperature, requests):
    """One response ends below both limits; the other is cut off at nine tokens, and asked for again at twenty."""

    def rule(asked: Asked) -> Reply:
        whole = "x" * (5 if asked.prompt == "short" else 15)
        limit = asked.fields["max_tokens"]
        return Reply(completion(asked, whole[:limit], "stop" if len(whole) < limit else "length"))

    server.rule = rule
    shared = {"kind": "openai", "endpoint": Endpoint(server.url, "m"), "base_rate": 1.0}
    sampling = Sampling(temperature=temperature)
    members = [ModelConfig(f"m{limit}", max_new_tokens=limit, sampling=sampling, **shared) for limit in (9, 20)]
    backends = load_backends(PoolConfig(tuple(members)))
    calls, lengths = Calls(backends, CallCache(None)), []
    for backend in backends:
        made = {}
        for part, _ in calls.ask(backend, ["short", "long"]):
            made |= part
        lengths.append((len(made["short"].text), len(made["long"].text)))
    assert lengths == [(5, 9), (5, 15)]
    assert len(server.asked) == requests
