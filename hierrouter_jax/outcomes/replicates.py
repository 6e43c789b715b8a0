"""Replicates: one question asked several times, each time a row of its own, and what its rows say together.

A sampled answer is a draw, so the best of many routes on one draw is partly luck. Rows of one question are one piece of
evidence: means and intervals go over questions, and what is chosen on a row is judged on the question's other rows.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import OutcomeTable, Query


def repeated_by_seed(queries: Sequence[Query], count: int) -> tuple[Query, ...]:
    """Every query `count` times, seed by seed: first as it is, then under the seeds 1, 2, ... with ids of their own.

    Raises:
      InputError: if a query is a replicate by seed already.
    """
    again = next((query for query in queries if query.seed), None)
    if again is not None and count > 1:
        raise InputError(f"query {again.id!r} is a replicate by seed already, and cannot be repeated by seed")
    return tuple(
        replace(query, id=f"{query.id}-seed{seed}", question=query.question or query.id, seed=seed) if seed else query
        for seed in range(count)
        for query in queries
    )


def first_rows(table: OutcomeTable) -> Int[np.ndarray, " G"]:
    """The first row of each of the G questions."""
    return np.unique(table.question, return_index=True)[1]


def mean_by_question(values: Float[np.ndarray, "*B Q"], question: Int[np.ndarray, " Q"]) -> Float[np.ndarray, "*B G"]:
    """Mean over the rows of each of the G questions, which `question` numbers from 0 without gaps."""
    count = np.bincount(question)
    if len(count) == len(question):  # no sums, whose rounding would change values that nothing is added to
        return values[..., np.argsort(question)]
    return _sums(values, question) / count


def variance_within(values: Float[np.ndarray, "*B Q"], question: Int[np.ndarray, " Q"]) -> Float[np.ndarray, "*B"]:
    """Mean over the questions of two rows or more of the unbiased variance among a question's rows.

    Not a number where no question has two rows.
    """
    count = np.bincount(question)
    several = count > 1
    if not several.any():
        return np.full(values.shape[:-1], np.nan)
    mean = _sums(values, question) / count
    squares = _sums((values - mean[..., question]) ** 2, question)
    return (squares[..., several] / (count[several] - 1)).mean(axis=-1)


def of_other_rows(values: Float[np.ndarray, "Q N"], question: Int[np.ndarray, " Q"]) -> Float[np.ndarray, "Q N"]:
    """Of each row, the mean over the other rows of its question; its own values where it is the only one.

    An entry of -inf is none: it does not count, and where no other row has an entry the mean is -inf.
    """
    count = np.bincount(question)
    known = np.isfinite(values)
    counted = np.where(known, values, 0.0)
    total, held = np.zeros((2, len(count), values.shape[1]))
    np.add.at(total, question, counted)
    np.add.at(held, question, known)
    others = held[question] - known
    mean = np.where(others > 0, (total[question] - counted) / np.maximum(others, 1), -np.inf)
    return np.where((count[question] == 1)[:, None], values, mean)


def replicates_report(table: OutcomeTable) -> dict[str, Any] | None:
    """How much outcomes vary among the rows of one question, as plain data; None where each question has one row.

    Returns:
      `questions` and `rows`; the `fewest` and `most` rows of a question; `variance_within` of the quality of each
      model's first hop by name, the mean over questions of the unbiased variance among a question's rows;
      `variance_all_hops`, the same over every hop that the table holds.
    """
    count = np.bincount(table.question)
    if count.max() == 1:
        return None
    variance = [_variance_at(table, node) for node in range(1, table.tree.num_nodes)]
    every = [value for value in variance if np.isfinite(value)]
    return {
        "questions": len(count),
        "rows": table.num_queries,
        "fewest": int(count.min()),
        "most": int(count.max()),
        "variance_within": {
            name: value if np.isfinite(value) else None
            for name, value in zip(table.model_names, variance, strict=False)
        },
        "variance_all_hops": float(np.mean(every)) if every else None,
    }


def _variance_at(table: OutcomeTable, node: int) -> float:
    """`variance_within` of a node's quality over the rows that hold it."""
    held = table.available[:, node]
    if not held.any():
        return np.nan
    question = np.unique(table.question[held], return_inverse=True)[1]
    return float(variance_within(table.quality[held, node].astype(np.float64), question))


def _sums(values: Float[np.ndarray, "*B Q"], question: Int[np.ndarray, " Q"]) -> Float[np.ndarray, "*B G"]:
    rows = [np.bincount(question, weights=row) for row in values.reshape(-1, values.shape[-1])]
    return np.reshape(rows, (*values.shape[:-1], -1))
