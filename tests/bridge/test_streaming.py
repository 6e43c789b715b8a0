"""Calls that are under way together: kept as each ends, none waits for the slowest, and the table does not tell."""

import hashlib
import multiprocessing
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hierrouter_jax.bridge.backends import Doubt, OpenGate, drive, load_backends
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import Budget, BudgetReached, Calls, collect
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, PoolConfig
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.errors import InputError
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.store import load_table, save_table
from hierrouter_jax.outcomes.table import Query
from tests.bridge.endpoints import Asked, FakeServer, Reply, completion
from tests.bridge.test_reply import mutated

PROMPTS = [f"prompt {row}" for row in range(12)]
AT_ONCE = 4


@pytest.fixture
def server():
    fake = FakeServer()
    yield fake
    fake.stop()


def pool(url: str, names=("a", "b"), **endpoint):
    where = {"weights": "w", "retries": 0, "concurrency": AT_ONCE, **endpoint}
    members = [
        ModelConfig(
            name,
            kind="openai",
            max_new_tokens=20,
            base_rate=1.0,
            endpoint=Endpoint(url, name, **where | {"weights": name}),
        )
        for name in names
    ]
    return load_backends(PoolConfig(tuple(members)))


def table_of(url: str, cache: CallCache, queries: int = 9, tree=HopTree(2, 2), **changes):  # noqa: B008 (frozen)
    splits = ("train", "validation", "test")
    asked = [Query(f"q{row}", f"Query {row}", "task", "a", splits[row % 3]) for row in range(queries)]
    arguments = asked, pool(url), tree, NGramEncoder(size=8), HopPrompt(), one_by_one(exact_match), cache
    return collect(*arguments, progress=False, **changes)


def digest(asked: Asked) -> Reply:
    """An answer that follows from model and prompt, and a time that does not."""
    text = hashlib.sha256(f"{asked.fields['model']}{asked.prompt}".encode()).hexdigest()[:4]
    return Reply(completion(asked, text), seconds=random.Random(asked.port).random() / 50)


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


def interrupted_run(folder: Path, url: str) -> None:
    """A job that Ctrl-C reaches; what it says when it ends is written down."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    cache = CallCache(folder / "calls.sqlite")
    try:
        table_of(url, cache, queries=30)
    except KeyboardInterrupt as interrupt:
        (folder / "said").write_text(str(interrupt))


@pytest.mark.filterwarnings("ignore:os.fork")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_lets_calls_end_and_again_stops_at_once(server, tmp_path, times):
    gate = threading.Event()

    def rule(asked: Asked) -> Reply:
        if len(server.asked) > 6:
            gate.wait(120)
        return digest(asked)

    server.rule = rule
    process = multiprocessing.get_context("fork").Process(target=interrupted_run, args=(tmp_path, server.url))
    process.start()
    try:
        waiting_for(lambda: len(server.asked) >= 6 + AT_ONCE)
        assert process.pid is not None
        for _ in range(times):
            os.kill(process.pid, signal.SIGINT)
            time.sleep(0.5)
        if times == 1:
            assert process.is_alive()  # it waits for the calls under way
            gate.set()
        process.join(60)
        assert process.exitcode == 0
    finally:
        gate.set()
        process.kill()
    kept = CallCache(tmp_path / "calls.sqlite").num_calls
    assert kept == (6 + AT_ONCE if times == 1 else 6)
    assert len(server.asked) == 6 + AT_ONCE
    assert f"{kept} finished calls are kept" in (tmp_path / "said").read_text()


def killed_run(folder: Path, url: str) -> None:
    table = table_of(url, CallCache(folder / "calls.sqlite"), queries=12)
    save_table(table, folder / "table")


def waiting_for(true, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.filterwarnings("ignore:os.fork")
def test_ten_kills_cost_the_calls_under_way_and_change_nothing(server, tmp_path):
    """A SIGKILL repeats at most the calls under way, and changes no file of the table but for latencies."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    server.rule = lambda asked: Reply(digest(asked).body, seconds=0.02)
    process = run_forked(whole, server.url)
    process.join(60)
    assert process.exitcode == 0
    number = len(server.asked)
    assert number == len({(one.fields["model"], one.prompt) for one in server.asked})
    server.asked.clear()
    rng = random.Random(0)
    for kills in range(1, 11):
        before, process = len(server.asked), run_forked(killed, server.url)
        waiting_for(lambda before=before: len(server.asked) > before + rng.randint(0, 4))
        time.sleep(rng.uniform(0, 0.04))
        assert process.is_alive(), "the job was over before it could be killed; make it longer"
        process.kill()
        process.join()
        counts = Counter((one.fields["model"], one.prompt) for one in server.asked)
        assert sum(counts.values()) - len(counts) <= kills * AT_ONCE
    process = run_forked(killed, server.url)
    process.join(60)
    assert process.exitcode == 0
    nodes = [pq.read_table(folder / "table" / "nodes").drop_columns("latency") for folder in (killed, whole)]
    assert nodes[0].equals(nodes[1])
    for name in ("queries.parquet", "embeddings.safetensors", "table.json"):
        assert (killed / "table" / name).read_bytes() == (whole / "table" / name).read_bytes()


def run_forked(folder: Path, url: str) -> multiprocessing.Process:
    folder.mkdir(exist_ok=True)
    process = multiprocessing.get_context("fork").Process(target=killed_run, args=(folder, url))
    process.start()
    return process  # type: ignore[return-value]


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


def test_what_the_gate_raises_comes_after_the_calls_under_way(server):
    """The fourth call may not begin: the three before it are answered all the same."""
    server.rule = lambda asked: Reply(completion(asked, "x"), seconds=0.05)
    (backend,) = pool(server.url, ["a"])
    kept: list[str] = []

    class Gate(OpenGate):
        def begin(self, batch, under_way):
            if under_way == 3:
                raise InputError("no fourth call")
            return True

    def run() -> None:
        for part in drive(backend, [PROMPTS], Doubt(), Gate()):
            kept.extend(part)

    with pytest.raises(InputError, match="no fourth call"):
        run()
    assert sorted(kept) == PROMPTS[:3]
