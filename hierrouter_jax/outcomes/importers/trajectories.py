"""Trajectories of agents: the models that were called one after another, and whether the task was solved in the end."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hierrouter_jax.outcomes.importers.records import (
    COLUMNS,
    ROW_FILES,
    Gatherer,
    Records,
    missing,
    outcome_rows,
    source_files,
)
from hierrouter_jax.outcomes.importers.routes import ARROW
from hierrouter_jax.outcomes.importers.scales import number_of
from hierrouter_jax.outcomes.rows import check_mapped, column_names

_OWN = ("trajectory", "step", "success")
_STEP = tuple(name for name in COLUMNS if name not in ("score", "route"))  # as in the long format
_NEEDED = ("trajectory", "query", "model", "success")

_Place = tuple[Path, Any]
_Row = tuple[_Place, dict[str, Any]]


def read_trajectories(path: Path, rows: Gatherer, columns: Mapping[str, str] | None = None) -> Records:
    """A file, or all of a folder, of a row a step: `trajectory`, `query`, `model`, and `success` in any of its rows.

    Each step is a hop after those before it, so that a query's trajectories span a part of its tree: together where
    they begin with the same models and responses. Only the last answer of a trajectory was judged. The quality of the
    others is not known, and is 0 in the table, which a note says.

    Args:
      path: the file or the folder.
      rows: the gatherer that outcomes are added to.
      columns: names in the file by the names here, of columns that are called otherwise there.

    Raises:
      InputError: if a needed column, or one of `columns`, is missing, or nothing can be read.
    """
    names = column_names((*_OWN, *_STEP), columns)
    hops: dict[tuple[str, tuple[str, ...]], _Row] = {}
    files = source_files(path, *ROW_FILES)
    seen: set[str] = set()
    for file in files:
        grid = outcome_rows(file, rows)
        seen.update(grid.columns)
        grid.need(file, *(names[name] for name in _NEEDED))
        by_id: dict[str, list[_Row]] = {}
        for number, record in grid.rows:
            values = {name: record.get(column) for name, column in names.items()}
            if missing(values["trajectory"]):
                rows.reject(file, number, f"{names['trajectory']} is empty")
            else:
                by_id.setdefault(str(values["trajectory"]), []).append(((file, number), values))
        for steps in by_id.values():
            _add(_in_order(steps, rows), hops, rows)
    check_mapped(path, columns, seen)
    unjudged = 0
    for (file, number), values in hops.values():
        unjudged += values["score"] is None
        rows.add(file, number, values | {"score": 0 if values["score"] is None else values["score"]}, names["success"])
    if unjudged:
        rows.note(
            f"{unjudged:,} answers on the way of trajectories were not judged: their quality is not known and is 0 in "
            "the table, so that stopping there looks worthless; compare routers of a fixed length"
        )
    return rows.records(files)


def _in_order(steps: list[_Row], rows: Gatherer) -> list[_Row]:
    """The steps of a trajectory by number, where they have one; none where its success or a number is not known."""
    verdicts = {_verdict(value): value for _, values in steps if not missing(value := values["success"])}
    success = next(iter(verdicts.values()), None)
    numbers = [number_of(values["step"])[0] for _, values in steps if not missing(values["step"])]
    fault = (
        "its trajectory has no success"
        if success is None
        else "its trajectory has several successes"
        if len(verdicts) > 1
        else "step must be a number in every row of a trajectory, or in none"
        if None in numbers or len(numbers) not in (0, len(steps))
        else "two steps of its trajectory have the same number"
        if len(set(numbers)) != len(numbers)
        else ""
    )
    if fault:
        for place, _ in steps:
            rows.reject(*place, fault)
        return []
    if numbers:
        steps = [steps[at] for at in np.argsort(np.array(numbers, dtype=np.float64))]
    first, last = steps[0][1], len(steps) - 1
    shared = {name: first[name] for name in ("query", "query_id", "task", "gold", "split")}
    return [
        (place, values | shared | {"score": success if number == last else None})
        for number, (place, values) in enumerate(steps)
    ]


def _verdict(success: Any) -> Any:
    """A success such that the same one is equal however it is written: 1 and 1.0, true and True."""
    number, percent = number_of(success)
    return str(success).strip().lower() if number is None else (number, percent)


def _add(steps: list[_Row], hops: dict[tuple[str, tuple[str, ...]], _Row], rows: Gatherer) -> None:
    """Join a trajectory with those before it, as far as their responses agree; what is behind is rejected."""
    route: tuple[str, ...] = ()
    for at, (place, values) in enumerate(steps):
        task = "queries" if missing(values["task"]) else values["task"]
        query_id = f"{task}: {values['query']}" if missing(values["query_id"]) else str(values["query_id"])
        route = (*route, str(values["model"]))
        mine = values | {"query_id": query_id, "task": task, "route": list(route)}
        _, other = hops.setdefault((query_id, route), (place, mine))
        if other is mine:
            continue
        if other["response"] != values["response"]:
            shown = f" {ARROW} ".join(route)
            for later, _ in steps[at:]:
                rows.reject(*later, f"the hop {shown!r} has another response in an earlier trajectory of its query")
            return
        if other["score"] is None:
            other["score"] = values["score"]
