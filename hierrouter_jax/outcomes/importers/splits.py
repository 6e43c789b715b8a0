"""Duplicates among imported queries, the leaks that they make, and splits that no duplicate group straddles."""

# pandas has no types of its own: what a frame gives is a union of everything to a checker.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.duplicates import Duplicates
from hierrouter_jax.outcomes.table import SPLITS

Leaks = Literal["train", "test", "keep"]
_SHOWN = 50


def leak_report(queries: pd.DataFrame, duplicates: Duplicates) -> dict[str, Any]:
    """What the search found, and how many queries of each later split have a copy in an earlier one, by task.

    A query is leaked *exactly* if an equal text (after normalisation) stands in an earlier split, *nearly* if only a
    near-duplicate does; earlier is train, then validation, then test.

    Args:
      queries: table of one row a query, with `query_id`, `task` and `split`.
      duplicates: the duplicates among their texts.
    """
    split = queries["split"].tolist()
    rank = np.array([_rank(name) for name in split])
    text = np.arange(len(split))  # of each row, the first of equal text: only these have near pairs
    for pair in duplicates.pairs:
        if pair.equal:
            text[pair.second] = pair.first
    earliest = np.full(len(split), len(SPLITS))
    np.minimum.at(earliest, text, rank)
    alike = np.full(len(split), len(SPLITS))  # the earliest split of a near copy
    for pair in duplicates.pairs:
        if not pair.equal:
            for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
                alike[text[one]] = min(alike[text[one]], earliest[text[other]])
    exact = set(np.flatnonzero(earliest[text] < rank).tolist())
    near = set(np.flatnonzero(alike[text] < rank).tolist())
    across = [pair for pair in duplicates.pairs if split[pair.first] != split[pair.second]]
    return {
        **duplicates.counts,
        "leaked": {name: _by_task(queries, name, exact, near - exact) for name in SPLITS[1:] if name in split},
        "pairs_across_splits": [
            {"first": queries["query_id"].iat[p.first], "second": queries["query_id"].iat[p.second]}
            | {"similarity": round(p.similarity, 3)}
            for p in across[:_SHOWN]
        ],
        "pairs_across_splits_count": len(across),
    }


def leaked(split: Sequence[str | None], group: Int[np.ndarray, " Q"], leaks: Leaks) -> Bool[np.ndarray, " Q"]:
    """Which queries to drop, so that every duplicate group lies in one split.

    `train` keeps the latest split that a group reaches and drops it from all earlier ones, as training sets are
    decontaminated; `test` keeps the earliest; `keep` drops nothing.
    """
    rank = np.array([_rank(name) for name in split])
    if leaks == "keep" or not len(rank):
        return np.zeros(len(rank), dtype=bool)
    kept_rank = np.full(group.max() + 1, -1 if leaks == "train" else len(SPLITS))
    (np.maximum if leaks == "train" else np.minimum).at(kept_rank, group, rank)
    return rank != kept_rank[group]


def check_shares(shares: Mapping[str, float]) -> None:
    """Refuse weights of splits that say nothing, or name no split.

    Raises:
      InputError: saying what they must be.
    """
    known = not set(shares) - set(SPLITS) and all(0 <= share < np.inf for share in shares.values())
    if not known or not any(shares.values()):
        raise InputError(f"shares are {dict(shares)}, but must be weights of {', '.join(SPLITS)}, one of them above 0")


def draw(
    shares: Mapping[str, float],
    task: Sequence[str],
    group: Int[np.ndarray, " Q"],
    complete: Bool[np.ndarray, " Q"],
    seed: int,
) -> list[str]:
    """A split of each query: seeded, stratified by task, duplicate groups whole, partial queries only in train.

    Queries stand in a random order task by task, and each goes to the split that lags furthest behind its share; so
    every task is split in proportion, and so is the whole, to within a group.

    Args:
      shares: weight of each split; counts will do.
      task: task of each query.
      group: duplicate group of each query.
      complete: whether a query has an outcome of every model.
      seed: seed of the order.

    Raises:
      InputError: if a share makes no sense.
    """
    check_shares(shares)
    names = [name for name in SPLITS if shares.get(name)]
    weight = np.array([shares[name] for name in names], dtype=float) / sum(shares.values())
    order = np.random.default_rng(seed).permutation(len(task))
    order = order[np.argsort(np.array(task, dtype=object)[order].astype(str), kind="stable")]
    whole = np.bincount(group[~complete], minlength=len(task)) == 0  # groups without a partial query
    members = pd.Series(np.arange(len(task))).groupby(group).groups
    split, lag = [""] * len(task), np.zeros(len(names))
    for row in order:
        if split[row]:
            continue
        rows = members[group[row]]
        lag += weight * len(rows)
        chosen = int(np.argmax(lag)) if whole[group[row]] or "train" not in names else names.index("train")
        lag[chosen] -= len(rows)
        for one in rows:
            split[one] = names[chosen]
    return split


def draw_validation(
    share: float,
    split: Sequence[str],
    task: Sequence[str],
    group: Int[np.ndarray, " Q"],
    complete: Bool[np.ndarray, " Q"],
    seed: int,
) -> list[str]:
    """The given splits, with a share of train drawn as validation, where a source has train and test alone."""
    rows = np.flatnonzero(np.array(split) == "train")
    drawn = draw(
        {"train": 1 - share, "validation": share},
        [task[row] for row in rows],
        np.unique(group[rows], return_inverse=True)[1],
        complete[rows],
        seed,
    )
    splits = list(split)
    for row, name in zip(rows.tolist(), drawn, strict=True):
        splits[row] = name
    return splits


def _rank(split: str | None) -> int:
    return SPLITS.index(split) if split in SPLITS else 0


def _by_task(queries: pd.DataFrame, split: str, exact: set[int], near: set[int]) -> dict[str, dict[str, int]]:
    by_task: dict[str, dict[str, int]] = {}
    for row, (task, of) in enumerate(zip(queries["task"], queries["split"], strict=True)):
        if of == split:
            counts = by_task.setdefault(task, {"queries": 0, "exact": 0, "near": 0})
            counts["queries"] += 1
            counts["exact"] += row in exact
            counts["near"] += row in near
    return by_task
