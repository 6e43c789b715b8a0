"""A small sweep, for tests and for processes that they stop: python -m tests.sweeps.sweep_run OUT LAYOUT SEEDS."""

import sys
import time
from typing import Any

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.sweeps.draws import grid
from hierrouter_jax.sweeps.folder import Finished
from hierrouter_jax.sweeps.result import SweepResult
from hierrouter_jax.sweeps.sweep import train_many
from tests.tables import random_table

TABLE = random_table(queries=90)
EXACT = LearnerStatic("exact", num_envs=64, num_updates=10, epochs=1, minibatches=1, hidden=(16, 16), stage_size=4)
HYPERS = grid({"learning_rate": [1e-3, 3e-3], "reward.hop_cost": [0.01, 0.5]})


def run(seeds: Any = (3,), **options: Any) -> SweepResult:
    """All of these tests' sweeps have chunks of one size, for which their process compiles once."""
    return train_many(TABLE, EXACT, HYPERS, seeds, **({"features": 6, "progress": False, "chunk": 3} | options))


def slowly(add: Any) -> Any:
    """A chunk as if it had taken longer, so that a test finds the sweep in the middle."""

    def waiting(*arguments: Any) -> None:
        add(*arguments)
        time.sleep(0.1)

    return waiting


if __name__ == "__main__":
    Finished.add = slowly(Finished.add)
    run(out=sys.argv[1], layout=sys.argv[2], seeds=int(sys.argv[3]))
