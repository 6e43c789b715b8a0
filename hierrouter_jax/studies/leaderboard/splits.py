"""Splits of a table's queries: its own, repeated at random, or folds; stratified by task, duplicates never parted."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.model_selection import StratifiedGroupKFold

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.replicates import mean_by_question
from hierrouter_jax.outcomes.table import OutcomeTable

_TRAIN, _VALIDATION, _TEST = 0, 1, 2
_NAMES = ("train", "validation", "test")


class Split(NamedTuple):
    """Rows of each part, ascending."""

    train: Int[np.ndarray, " a"]
    validation: Int[np.ndarray, " b"]
    test: Int[np.ndarray, " c"]

    def of(self, table: OutcomeTable) -> OutcomeTable:
        """The table of these queries alone, each with its part as its split."""
        name = {int(row): part for part, rows in zip(_NAMES, self, strict=True) for row in rows}
        some = table.select(np.array(sorted(name)))
        queries = tuple(replace(query, split=name[row]) for query, row in zip(some.queries, sorted(name), strict=True))
        return replace(some, queries=queries)


def given_split(table: OutcomeTable, group: Int[np.ndarray, " Q"], validation: float, seed: int) -> Split:
    """The table's own; where it has no validation part, that is taken out of train.

    A duplicate of a test query is left out of training and validation.

    Raises:
      InputError: if it has no train or no test queries.
    """
    part = np.array([_NAMES.index(query.split) for query in table.queries])
    for name in ("train", "test"):
        table.split(name)
    leaked = np.isin(group, group[part == _TEST]) & (part != _TEST)
    if (part == _VALIDATION).any():
        leaked |= np.isin(group, group[part == _VALIDATION]) & (part == _TRAIN)
        parts = np.where(leaked, -1, part)
        split = Split(*(np.flatnonzero(parts == which) for which in (_TRAIN, _VALIDATION, _TEST)))
    else:
        rows = np.flatnonzero((part == _TRAIN) & ~leaked)
        split = _with_validation(rows, np.flatnonzero(part == _TEST), table.task, group, validation, seed)
    if min(map(len, split)) == 0:
        raise InputError("the table's own split keeps no training or validation query once duplicates are left out")
    return split


def random_splits(
    task: Int[np.ndarray, " Q"],
    group: Int[np.ndarray, " Q"],
    count: int,
    train: int,
    test: int,
    validation: float,
    seed: int,
) -> list[Split]:
    """Splits drawn apart, each with exactly so many queries, in every task about the same share.

    Args:
      group: queries of one group stay together.
      train: queries to learn and choose from; 0: all that are left.
      validation: share of these to choose on.

    Raises:
      InputError: if the table has too few queries.
    """
    queries = len(task)
    learned = train or queries - test
    if learned + test > queries or learned < 2 or test < 1:
        raise InputError(
            f"train is {train} and test is {test}, but the table has {queries} queries; together they must fit, "
            "and training needs at least 2"
        )
    splits = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        everything = np.arange(queries)
        tested = draw(everything, test, task, group, rng)
        rest = np.setdiff1d(everything[~np.isin(group, group[tested])], tested)
        if len(rest) < learned:
            raise InputError(f"split {number}: {learned} training queries are wanted, but duplicates leave {len(rest)}")
        rows = draw(rest, learned, task, group, rng) if learned < len(rest) else rest
        splits.append(_with_validation(rows, tested, task, group, validation, seed + number))
    return splits


def folds(
    task: Int[np.ndarray, " Q"], group: Int[np.ndarray, " Q"], count: int, validation: float, seed: int
) -> list[Split]:
    """k-fold cross-validation: every query is tested once.

    Raises:
      InputError: if there are more folds than groups, or than queries of any task.
    """
    if count > len(np.unique(group)):
        raise InputError(f"folds is {count}, but the table has {len(np.unique(group))} queries that are no duplicates")
    largest = int(np.bincount(task).max())
    if count > largest:
        raise InputError(f"folds is {count}, but no task has more than {largest} queries to lay out over them")
    cut = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(task, task, group)
    return [_with_validation(rows, tested, task, group, validation, seed + at) for at, (rows, tested) in enumerate(cut)]


def draw(
    rows: Int[np.ndarray, " R"],
    size: int,
    task: Int[np.ndarray, " Q"],
    group: Int[np.ndarray, " Q"],
    rng: np.random.Generator,
    exact: bool = True,
) -> Int[np.ndarray, " size"]:
    """`size` of the rows, every task in its share, whole groups only; a few less where those do not add up.

    Groups are taken in random order while they fit their first query's task's share; what is then left over is filled
    up whatever the task. Ascending.

    Args:
      exact: whether fewer are refused.

    Raises:
      InputError: if groups are so large that the size cannot be hit, or that nothing can be drawn.
    """
    room = _shares(task[rows], size, int(task.max()) + 1)
    members = _members(rows, group)
    order = [members[at] for at in rng.permutation(len(members))]
    taken: list[np.ndarray] = []
    left, later = size, []
    for some in order:
        of = task[some[0]]
        if len(some) <= min(room[of], left):
            room[of] -= len(some)
            left -= len(some)
            taken.append(some)
        else:
            later.append(some)
    for some in later:
        if 0 < len(some) <= left:
            left -= len(some)
            taken.append(some)
    if left and (exact or not taken):
        raise InputError(f"duplicates that must stay together leave no way to draw exactly {size} of {len(rows)} rows")
    return np.sort(np.concatenate(taken))


def clusters(group: Int[np.ndarray, " Q"]) -> Int[np.ndarray, " Q"]:
    """The same groups, numbered from 0 without gaps."""
    return np.unique(group, return_inverse=True)[1]


def at_first_rows(
    values: Float[np.ndarray, "*B T"], test: Int[np.ndarray, " T"], question: Int[np.ndarray, " Q"]
) -> tuple[Int[np.ndarray, " G"], Float[np.ndarray, "*B G"]]:
    """The first tested row of each question that a split tests, and the mean over all of the question's tested rows."""
    _, first, its = np.unique(question[test], return_index=True, return_inverse=True)
    return test[first], mean_by_question(values, its)


def questions_tested(splits: Sequence[Split], question: Int[np.ndarray, " Q"]) -> Bool[np.ndarray, "S Q"]:
    """Which questions each split tests, each at the first of its tested rows."""
    mask = np.zeros((len(splits), len(question)), dtype=bool)
    for row, split in enumerate(splits):
        mask[row, at_first_rows(np.zeros(len(split.test)), split.test, question)[0]] = True
    return mask


def _with_validation(
    rows: Int[np.ndarray, " R"],
    test: Int[np.ndarray, " T"],
    task: Int[np.ndarray, " Q"],
    group: Int[np.ndarray, " Q"],
    share: float,
    seed: int,
) -> Split:
    size = round(share * len(rows))
    if not 0 < size < len(rows):
        raise InputError(f"validation is {share} of {len(rows)} training queries, which leaves one part empty")
    chosen = draw(rows, size, task, group, np.random.default_rng([seed, len(rows)]), exact=False)
    return Split(np.setdiff1d(rows, chosen), chosen, np.sort(test))


def _shares(task: Int[np.ndarray, " R"], size: int, tasks: int) -> Int[np.ndarray, " T"]:
    """How many of each task, by largest remainder."""
    exact = np.bincount(task, minlength=tasks) * size / len(task)
    share = np.floor(exact).astype(int)
    for at in np.argsort(share - exact, kind="stable")[: size - share.sum()]:
        share[at] += 1
    return share


def _members(rows: Int[np.ndarray, " R"], group: Int[np.ndarray, " Q"]) -> list[np.ndarray]:
    """The rows of each group."""
    order = np.argsort(group[rows], kind="stable")
    cut = np.flatnonzero(np.diff(group[rows][order])) + 1
    return np.split(rows[order], cut)
