"""SIGKILLs during one collection: what they cost, and that they change nothing.

    python -m scripts.kill_collection /tmp/kills --kills 20
    python -m scripts.kill_collection /tmp/kills --kills 10 --program llama-server --seconds 20 --whole false \
        --options '[--config, collect/small-coders.yaml, --data, benchmarks]'

Each run is `hierrouter collect`, by default of the tiny pool's real models, killed after a random time. The finished
table is compared with that of a run that nobody kills. With a program, every second kill is of a model server of that
name that the collection has started; the collection itself must then go on. Calls that had been kept before a kill must
be the same after it. How many are made again is counted from the log of a llama.cpp server, or, on a fake endpoint, by
tests/bridge/collect/test_kill_collection.py.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from jsonargparse import auto_cli

from hierrouter_jax.bridge.backends import Generation
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.outcomes.store import load_table

COLUMNS = ("quality", "tokens_in", "tokens_out", "available", "response", "context_embedding")
TINY = ("--counts", "{train: 96, validation: 32, test: 64}", "--horizon", "2")
BEGUN = "| processing task"  # in the log of a llama.cpp server, for each call


def command(folder: Path, batch_size: int, options: Sequence[str]) -> list[str]:
    more = [*options, "--batch_size", str(batch_size), "--json"]
    return [sys.executable, "-m", "hierrouter_jax.cli.main", "collect", str(folder), *more]


def kept(folder: Path) -> dict[bytes, Generation]:
    path = folder / "calls.sqlite"
    if not path.is_file():
        return {}
    cache = CallCache(path)
    try:
        return {call.key: call.generation for call in cache.kept_calls()}
    finally:
        cache.close()


def begun(folder: Path) -> int:
    """Calls that llama.cpp servers began, by their logs."""
    return sum(path.read_text(errors="replace").count(BEGUN) for path in folder.glob("servers/*.log"))


def main(
    folder: Path,
    kills: int = 20,
    batch_size: int = 16,
    seconds: float = 0.5,
    options: tuple[str, ...] = TINY,
    program: str | None = None,
    whole: bool = True,
) -> None:
    """Kill, go on, compare.

    Args:
      folder: for both collections.
      kills: SIGKILLs.
      batch_size: calls at once.
      seconds: longest time between a run's first new call and its kill.
      options: what is collected, as arguments of `hierrouter collect`.
      program: name of the program of model servers, which every second kill is of; by default no kill is.
      whole: whether the collection is finished, and compared with another one without a kill.
    """
    rng, killed = random.Random(0), folder / "killed"
    process, number = None, 0
    while number < kills:
        of_server = program is not None and number % 2 == 1
        before, started = kept(killed), begun(killed)
        if process is None:
            process = start(killed, batch_size, options)
        while process.poll() is None and len(kept(killed)) == len(before):  # models are loaded meanwhile
            time.sleep(0.02)
        time.sleep(rng.uniform(0, seconds))
        if process.poll() is not None:
            raise SystemExit(f"the collection ended before kill {number + 1}; lower --seconds or --batch_size")
        if program is not None and of_server:
            rng.choice(servers(process, program)).kill()
        else:
            process.kill()
            process.wait()
            process = None
        number += 1
        after = kept(killed)
        changed = sum(after.get(key) != generation for key, generation in before.items())
        what = "server" if of_server else "collection"
        calls = f"{len(after):,} calls kept, {len(after) - len(before):,} new, {changed} changed"
        print(f"kill {number}, of the {what}: {calls}, {begun(killed) - started} begun by the log", flush=True)
        if changed:
            raise SystemExit(1)
    if process is not None:
        process.kill()
        process.wait()
    if whole:
        compare(folder, kills, batch_size, options)


def start(folder: Path, batch_size: int, options: Sequence[str]) -> subprocess.Popen:
    return subprocess.Popen(command(folder, batch_size, options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def servers(process: subprocess.Popen, program: str) -> list[psutil.Process]:
    """Servers that a collection has started, however far below it, once there is one."""
    while not (found := [one for one in psutil.Process(process.pid).children(recursive=True) if one.name() == program]):
        time.sleep(0.05)
    return found


def compare(folder: Path, kills: int, batch_size: int, options: Sequence[str]) -> None:
    """Finish the killed collection, make one that nobody kills, and compare their tables."""
    paths = [folder / "killed", folder / "whole"]
    summaries = [
        json.loads(subprocess.run(command(path, batch_size, options), check=True, stdout=subprocess.PIPE).stdout)
        for path in paths
    ]
    one, other = map(load_table, paths)
    same = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in COLUMNS)
    print(f"{kills} kills within {summaries[0]['calls']:,} calls, batches of {batch_size}; tables equal: {same}")
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
