"""A sweep's progress: what is done, how fast, and the best so far, for people and for logs."""

import io
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from hierrouter_jax.cli.progress import SweepProgress, best_table, shown
from hierrouter_jax.sweeps.members import Plan
from hierrouter_jax.sweeps.search.config import BaseSettings, SweepConfig


@pytest.fixture
def progress():
    """A sweep of 2 cost weights x 2 seeds, with a clock that shows 10 s more for each look."""
    train = BaseSettings(("exact",))
    config = SweepConfig(Path("t"), train=train, space={"reward.hop_cost": [0.01, 0.1]}, seeds=2)
    return SweepProgress(config, now=iter(range(0, 10_000, 10)).__next__), Plan(
        tuple(config.statics), config.points(), (0, 1)
    )


def note(progress: SweepProgress, plan: Plan, member: int, value: float, trained: bool = True) -> None:
    scores = {"best_return": np.array([value]), "best_accuracy": np.array([0.5])}
    progress.note(plan, np.array([member]), scores, trained)


def test_progress_counts_rates_and_keeps_the_best_of_each_reward(progress):
    progress, plan = progress
    note(progress, plan, 0, 0.5, trained=False)
    assert (progress.done, progress.total, progress.rate, progress.left) == (1, 4, None, None)
    note(progress, plan, 1, 0.7)  # 0 s: compiled
    assert progress.speed == "the first runs wait for the compiler"
    note(progress, plan, 2, 0.1)
    assert progress.rate == pytest.approx(60 / 10)
    assert progress.left == pytest.approx(20)  # one run more took as long as the clock's next look, 20 s
    assert progress.best == {(0.01,): (0.7, {"seed": 1}), (0.1,): (0.1, {"seed": 0})}
    note(progress, plan, 3, float("nan"))
    assert progress.best[(0.1,)] == (0.1, {"seed": 0})


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_to_people_and_to_logs(progress, terminal):
    progress, plan = progress
    progress = replace(progress, now=time.monotonic)
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    with shown(progress, console) as (watch, say):
        for member in range(4):
            scores = {"best_return": np.array([0.5 + member]), "best_accuracy": np.array([0.5])}
            watch(plan, np.array([member]), scores)
        say("stops soon")
    text = console.file.getvalue()
    assert "stops soon" in text
    assert ("4/4" if terminal else "sweep: 4 of 4 runs") in text
    assert "1.5000" in text
    assert [column.header for column in best_table(progress).columns] == [
        "reward.hop_cost",
        "best validation return",
        "with",
    ]
