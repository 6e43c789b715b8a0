"""Pinned worker processes leave nothing behind, whether they finish or are cut off."""

import os
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from tqdm import tqdm

from hierrouter_jax.errors import Unfinished
from hierrouter_jax.sweeps.workers import PinnedPool, WorkerError, cores, naming_death, settle

ROOT = Path(__file__).parents[2]


def with_a_bar(seconds: float) -> int:
    """As trainings do it; a bar's usual lock is a semaphore of its process."""
    with tqdm(total=1, disable=True):
        time.sleep(seconds)
    return len(os.sched_getaffinity(0))


def main(how: str) -> None:
    with PinnedPool(cores()[:1], settle) as pool:
        assert pool.executor.submit(with_a_bar, 0).result() == 1
        if how == "cut off":
            pool.executor.submit(with_a_bar, 1000)
            raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["finished", "cut off"])
def test_no_semaphore_is_left_behind(how):
    done = subprocess.run(
        [sys.executable, "-m", __name__, how], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ("KeyboardInterrupt" in done.stderr) == (how == "cut off")
    assert "leaked" not in done.stderr
    assert how == "cut off" or (done.returncode, done.stderr) == (0, "")


def test_a_worker_that_died_is_one_sentence_with_the_way_out():
    with (
        pytest.raises(WorkerError, match=r"^a worker process died .*; run it again$") as caught,
        naming_death("run it again"),
    ):
        raise BrokenProcessPool
    assert isinstance(caught.value, Unfinished)
    assert caught.value.code == 1


if __name__ == "__main__":
    main(sys.argv[1])
