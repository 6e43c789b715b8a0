"""Outcome tables built so that the right answer of an opponent is known."""

from dataclasses import replace

import numpy as np

from hierrouter_jax.baselines.problem import Problem
from hierrouter_jax.baselines.registry import OPPONENTS
from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome, policy_outcome
from hierrouter_jax.outcomes.table import OutcomeTable
from tests.tables import random_table

COST = 10  # tokens that each call writes, and none are read: model m costs 2 (m + 1)


def blank(queries: int, models: int, horizon: int, kinds: int = 2) -> OutcomeTable:
    """Every answer wrong, every context noise, every call of a model at one price, `kinds` tasks of equal size."""
    table = random_table(queries=queries, models=models, horizon=horizon, tasks=kinds, splits=("train",))
    rng = np.random.default_rng(1)
    splits = rng.permutation(
        np.repeat(["train", "validation", "test"], [queries - 2 * (queries // 4), queries // 4, queries // 4])
    )
    calls = np.where(table.tree.stages > 0, COST, 0)
    return replace(
        table,
        queries=tuple(replace(query, split=str(split)) for query, split in zip(table.queries, splits, strict=True)),
        quality=np.zeros_like(table.quality),
        tokens_in=np.zeros_like(table.tokens_in),
        tokens_out=np.tile(calls, (queries, 1)).astype(np.int32),
        context_embedding=0.1 * table.context_embedding,
    )


def right_at(table: OutcomeTable, route: tuple[int, ...], rows: np.ndarray) -> OutcomeTable:
    """The same with the answer of a route right on some queries."""
    quality = table.quality.copy()
    quality[rows, table.tree.node(route)] = 1.0
    return replace(table, quality=quality)


def told_at(table: OutcomeTable, route: tuple[int, ...], yes: np.ndarray, feature: int = 0) -> OutcomeTable:
    """The same with the context after a route telling of which queries something holds."""
    context = table.context_embedding.copy()
    context[:, table.tree.node(route), feature] = np.where(yes, 1.0, -1.0)
    return replace(table, context_embedding=context)


def problem_of(table: OutcomeTable, weight: float = 0.0) -> Problem:
    return Problem(table.split("train"), table.split("validation"), lambda embedding: embedding, weight)


def choice(queries: int = 160) -> OutcomeTable:
    """One hop: the query tells whether model 1 or model 2 is right; model 0 is right on two in three of each kind."""
    table = blank(queries, models=3, horizon=1)
    first = table.task == 0
    table = right_at(table, (0,), np.arange(queries) % 3 > 0)
    return told_at(right_at(right_at(table, (1,), first), (2,), ~first), (), first)


def scout(queries: int = 160) -> OutcomeTable:
    """Two hops: model 0 is never right, but its answer tells whether model 1 or model 2 is right after it.

    No query tells anything; model 1 alone is right on one in four.
    """
    table = blank(queries, models=3, horizon=2)
    first = table.task == 0
    table = right_at(table, (1,), np.arange(queries) % 4 == 1)
    table = right_at(right_at(table, (0, 1), first), (0, 2), ~first)
    return told_at(table, (0,), first)


def doubt(queries: int = 160) -> OutcomeTable:
    """Two hops: cheap model 0 is right on half, which its answer tells; dear model 1, and model 0 again, repair it."""
    table = blank(queries, models=2, horizon=2)
    right = table.task == 0
    every = np.ones(queries, dtype=bool)
    for route, rows in (((0,), right), ((0, 1), every), ((0, 0), every)):
        table = right_at(table, route, rows)
    return told_at(table, (0,), right)


def outcome(name: str, table: OutcomeTable, weight: float = 0.0) -> PolicyOutcome:
    """What an opponent reaches on the test queries."""
    test = table.split("test")
    return policy_outcome(test, OPPONENTS[name].fit(problem_of(table, weight))(test))


def with_quality(table: OutcomeTable, right: dict[int, list[tuple[int, ...]]]) -> OutcomeTable:
    """Quality 1 exactly at the given routes of each task index, 0 elsewhere."""
    quality = np.zeros_like(table.quality)
    for task, routes in right.items():
        for route in routes:
            quality[table.task == task, table.tree.node(route)] = 1.0
    return replace(table, quality=quality)
