"""A table on which it is known who is right, and learners that know it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hierrouter_jax.agents.types import LearnerStatic
from hierrouter_jax.evaluation.policy_outcome import ending_at
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.leaderboard.config import LeaderboardConfig, LearnerSpec
from tests.tables import random_table

HERE = f"{__name__}:"
TINY = LearnerStatic(num_envs=8, num_updates=1, evaluate_every=1, epochs=1, minibatches=1, hidden=(4,))
FITS: list[str] = []


def always_first(problem):
    FITS.append("first")
    return lambda table: ending_at(np.ones(table.num_queries, int), table.tree)


def knows_the_task(problem):
    """Model 0 for task 0, model 1 for task 1: right on every query of the table below."""
    FITS.append("task")
    return lambda table: ending_at(1 + table.task, table.tree)


LEARNERS = {"first": LearnerSpec(fit=f"{HERE}always_first"), "task": LearnerSpec(fit=f"{HERE}knows_the_task")}


def known_table(queries: int = 80) -> OutcomeTable:
    """Two tasks by turns, of which each of two models masters one; both at cost 1; four queries are written twice."""
    parts = ("train", "train", "train", "validation", "test")
    table = random_table(queries=queries, models=2, horizon=1, splits=parts)
    quality = np.zeros_like(table.quality)
    quality[np.arange(queries), 1 + table.task] = 1.0
    ones = np.ones_like(table.tokens_in)
    ones[:, 0] = 0
    texts = [f"{q % (queries - 4)} apples and {7 * (q % (queries - 4)) + 13} pears" for q in range(queries)]
    named = tuple(replace(query, text=text) for query, text in zip(table.queries, texts, strict=True))
    pool = tuple(replace(member, price_in=0.5, price_out=0.5) for member in table.pool)
    return replace(table, quality=quality, tokens_in=ones, tokens_out=ones, queries=named, pool=pool)


def config(folder: Path, out: Path, **more) -> LeaderboardConfig:
    options: dict[str, Any] = {
        "splits": 3,
        "train": 40,
        "test": 20,
        "features": 4,
        "resamples": 200,
        "learners": LEARNERS,
        "workers": 1,
    }
    options |= {"opponents": ("best-single", "best-single-per-task", "random", "oracle_stop")}
    return LeaderboardConfig((folder,), out, **{**options, **more})
