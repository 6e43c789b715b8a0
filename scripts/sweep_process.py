"""A sweep in a process of its own, to be timed from start to end; prints one line of JSON.

python -m scripts.sweep_process --runs 16 --updates 82
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jsonargparse import auto_cli

from hierrouter_jax.learner_config import SweepLayout
from scripts.contenders import our_settings
from scripts.measure import fresh_process, last_json
from scripts.opponents.problem import make_problem


def main(
    queries: int = 1400,
    models: int = 3,
    horizon: int = 3,
    features: int = 384,
    num_envs: int = 4096,
    runs: int = 16,
    updates: int = 82,
    layout: SweepLayout | None = None,
    algorithm: str = "ppo",
) -> None:
    """Train that many runs at different learning rates on a random table.

    Args:
      queries: Q.
      models: M.
      horizon: L.
      features: F.
      num_envs: episodes in parallel, of each run.
      runs: of the sweep.
      updates: of each.
      layout: how they are laid over the hardware; by default the fastest of a short measurement.
      algorithm: that trains.
    """
    from hierrouter_jax import train_many

    table = make_problem(queries, models, horizon, features, seed=0).on_device()
    static, hyper = our_settings(num_envs, algorithm)
    static = replace(static, num_updates=updates, evaluate_every=updates)
    rates = replace(hyper, learning_rate=np.geomspace(3e-4, 3e-3, runs))
    found = train_many((table, table, table), static, rates, 1, layout=layout, progress=False)
    print(json.dumps({"layout": found.layout, "returns": found.frame["best_return"].tolist()}))


def timed(
    flags: Mapping[str, int | str], environment: Mapping[str, str] | None = None, patience: float | None = None
) -> tuple[float, dict[str, Any]]:
    """Seconds of a sweep from process start to exit, and what it printed.

    Args:
      flags: options of this program, by name.
      environment: variables of the process, beside those of this one.
      patience: seconds after which it is killed.
    """
    command = [sys.executable, "-m", "scripts.sweep_process", *(f"--{name}={value}" for name, value in flags.items())]
    seconds, printed = fresh_process(command, environment, patience)
    return seconds, last_json(printed)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
