"""Ctrl-C and SIGKILLs while calls are under way together: each costs those calls, and changes nothing."""

import multiprocessing
import os
import random
import signal
import threading
import time
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.outcomes.store import save_table
from tests.bridge.collect.streaming import AT_ONCE, digest, table_of
from tests.bridge.endpoints import Asked, Reply


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


def run_forked(folder: Path, url: str) -> BaseProcess:
    folder.mkdir(exist_ok=True)
    process = multiprocessing.get_context("fork").Process(target=killed_run, args=(folder, url))
    process.start()
    return process
