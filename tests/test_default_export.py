"""What is exported by default beside opponents: every policy on the test queries of every split, and on no others."""

import numpy as np

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.studies.leaderboard.splits import random_splits
from hierrouter_jax.training.settings import TrainConfig
from scripts.default_export import judged
from tests.baselines.known_tables import choice

TINY = LearnerStatic(num_envs=16, num_updates=2, evaluate_every=1, epochs=1, minibatches=1, hidden=(8,))


def test_everybody_is_judged_on_the_tested_queries_of_each_split(monkeypatch):
    """Each task has one model that is right, so the best sequence of a task, which is told the task, always is."""
    monkeypatch.setattr("scripts.default_export.RIVALS", ("task-sequence",))  # a plan takes seconds
    table = choice()
    queries = table.num_queries
    drawn = random_splits(np.asarray(table.task), np.arange(queries), 2, 0, queries // 3, 0.25, 0)
    quality, chosen = judged(table, drawn, TrainConfig(learners=("exact",), num_seeds=1, static=TINY))
    assert len(chosen) == 2
    assert {"exported", "task-sequence"} <= quality.keys()
    for number, split in enumerate(drawn):
        assert quality["task-sequence"][number, split.test].mean() == 1.0
        outside = np.setdiff1d(np.arange(queries), split.test)
        assert not any(values[number, outside].any() for values in quality.values())
