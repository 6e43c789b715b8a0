"""Twenty SIGKILLs during one collection of the tiny pool's real models: what it costs, and that it changes nothing.

    python -m scripts.kill_collection /tmp/kills --kills 20

Each run is `hierrouter collect`, killed after a random time. The finished table is compared with that of a run that
nobody kills. How many calls are made again is counted by tests/bridge/collect/test_kill_collection.py.
"""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from jsonargparse import auto_cli

from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.outcomes.store import load_table

COLUMNS = ("quality", "tokens_in", "tokens_out", "available", "response", "context_embedding")


def command(folder: Path, batch_size: int) -> list[str]:
    counts = "{train: 96, validation: 32, test: 64}"
    options = ["--counts", counts, "--horizon", "2", "--batch_size", str(batch_size), "--json"]
    return [sys.executable, "-m", "hierrouter_jax.cli.main", "collect", str(folder), *options]


def kept(folder: Path) -> int:
    path = folder / "calls.sqlite"
    return CallCache(path).num_calls if path.is_file() else 0


def main(folder: Path, kills: int = 20, batch_size: int = 16, seconds: float = 0.5) -> None:
    """Kill, go on, compare.

    Args:
      folder: for both collections.
      kills: SIGKILLs.
      batch_size: calls at once.
      seconds: longest time between a run's first new call and its kill.
    """
    rng, killed, whole = random.Random(0), folder / "killed", folder / "whole"
    for number in range(kills):
        before = kept(killed)
        process = subprocess.Popen(command(killed, batch_size), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while process.poll() is None and kept(killed) == before:  # models are loaded meanwhile
            time.sleep(0.02)
        time.sleep(rng.uniform(0, seconds))
        if process.poll() is not None:
            raise SystemExit(f"the collection ended before kill {number + 1}; lower --seconds or --batch_size")
        process.kill()
        process.wait()
        print(f"kill {number + 1}: {kept(killed):,} calls kept, {kept(killed) - before:,} new", flush=True)
    summaries = [
        json.loads(subprocess.run(command(path, batch_size), check=True, stdout=subprocess.PIPE).stdout)
        for path in (killed, whole)
    ]
    one, other = load_table(killed), load_table(whole)
    same = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in COLUMNS)
    print(f"{kills} kills within {summaries[0]['calls']:,} calls, batches of {batch_size}; tables equal: {same}")
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
