"""The scale that scores are on: 0 to 1, or one that is stated; a score beyond it stops the import, or is left out."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from hierrouter_jax.errors import InputError, nearest

Stated = Mapping[str, Sequence[float]] | Sequence[float] | None

_TRUTH = {"true": 1.0, "false": 0.0}


class Beyond(ValueError):
    """Why a score is on no scale that was stated, as a phrase that follows the name of its column."""


class Scales:
    """What worst and best are, of every column of scores.

    Args:
      stated: the range `[LOW, HIGH]` of all columns, or by the name of a column; a column without one is on 0 to 1.

    Raises:
      InputError: if a scale is not two numbers, the lower first.
    """

    def __init__(self, stated: Stated = None) -> None:
        self._by_column = dict(stated) if isinstance(stated, Mapping) else {}
        self._of_all = None if stated is None or isinstance(stated, Mapping) else stated
        for name, scale in [*self._by_column.items(), *([("", self._of_all)] if self._of_all is not None else [])]:
            where = f"--score_range{f': {name}' if name else ''}"
            if len(scale) != 2 or not all(map(math.isfinite, scale)) or not scale[0] < scale[1]:
                raise InputError(f"{where} is {list(scale)}, but must be two numbers, the lower first: '[0, 100]'")
        self._seen: dict[str, None] = {}

    def quality(self, value: Any, column: str) -> float | None:
        """A score mapped to 0 to 1; None where it is no number. True and false are 1 and 0 on every scale.

        Raises:
          Beyond: if it lies outside the stated scale.
          InputError: if it lies outside 0 to 1, and the column's scale is not stated.
        """
        self._seen[column] = None
        truth = value if isinstance(value, bool) else _TRUTH.get(str(value).strip().lower())
        if truth is not None:
            return float(truth)
        number, percent = number_of(value)
        if number is None:
            return None
        stated = self._by_column.get(column, self._of_all)
        low, high = stated or (0.0, 1.0)
        if low <= number <= high and (stated or not percent):
            return (number - low) / (high - low)
        shown = str(value)[:40]
        if stated:
            raise Beyond(f"is {shown!r}, but must be a number in [{low:g}, {high:g}]")
        raise InputError(
            f"column {column!r} holds the score {shown!r}, but scores are in [0, 1]; say which scale it is, as in "
            f"--score_range '[0, 100]' or '{{{column}: [0, 100]}}'; '[0, 1]' leaves such rows out"
        )

    def check(self) -> None:
        """Refuse a scale of a column that held no scores.

        Raises:
          InputError: naming the column.
        """
        for name in self._by_column:
            if name not in self._seen:
                raise InputError(f"--score_range: no column of scores is called {name!r}; {nearest(name, self._seen)}")


def number_of(value: Any) -> tuple[float | None, bool]:
    """A value as a finite number, None where it is none; and whether it is written as a percentage."""
    percent = isinstance(value, str) and value.rstrip().endswith("%")
    try:
        number = float(value.rstrip().removesuffix("%") if percent else value)
    except (TypeError, ValueError, OverflowError):
        return None, percent
    return (number if math.isfinite(number) else None), percent


# pandas has no types of its own: what a frame gives is a union of everything to a checker.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false


_FEWEST = 20  # outcomes of a cell: fewer tell nothing
_ZERO, _OTHERS = 0.01, 0.1
_SHORTFALL = 0.35
_OTHER_TASKS = 3


def suspicious(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Models at about 0 on a task that others can do, or far below what their other tasks promise.

    What a model promises on a task is the median of the models on that task, plus the median of how far this model
    lies from that median on its other tasks, of which there must be three. A shortfall of .35 is flagged; so is a mean
    of at most .01 where the median of the others is at least .1. Flags are for a reader's eye: nothing is dropped.

    Args:
      frame: outcomes with columns `task`, `model` and `score`.
    """
    cells = frame.dropna(subset=["score"]).astype({"score": float}).groupby(["task", "model"])["score"]
    mean, count = cells.mean().unstack(), cells.size().unstack()
    suspects = []
    for task in mean.index:
        for model in mean.columns:
            if not count.at[task, model] >= _FEWEST:
                continue
            others = mean.loc[task].drop(model).median()
            ahead = mean[model].sub(mean.drop(columns=model).median(axis=1)).drop(task)
            ahead = ahead[count[model].drop(task) >= _FEWEST]
            promised = others + ahead.median() if len(ahead) >= _OTHER_TASKS else 0.0
            score = mean.at[task, model]
            if score <= _ZERO and others >= _OTHERS:
                reason = f"about 0, while the other models' median is {others:.2f}"
            elif promised - score >= _SHORTFALL:
                reason = f"far below the {promised:.2f} that its other tasks promise"
            else:
                continue
            suspects.append({"task": str(task), "model": str(model), "mean": round(float(score), 4), "reason": reason})
    return suspects
