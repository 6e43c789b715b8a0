"""Columns that look like a failure of answer parsing rather than of ability."""

# pandas has no types of its own: what a frame gives is a union of everything to a checker.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from typing import Any

import pandas as pd

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
      frame: outcomes with `task`, `model` and `score`.
    """
    cells = frame.dropna(subset=["score"]).astype({"score": float}).groupby(["task", "model"])["score"]
    mean, count = cells.mean().unstack(), cells.size().unstack()
    found = []
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
            found.append({"task": str(task), "model": str(model), "mean": round(float(score), 4), "reason": reason})
    return found
