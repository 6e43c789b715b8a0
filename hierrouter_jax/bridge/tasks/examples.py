"""Examples of a task for a person: prompts, golds, and responses with their verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hierrouter_jax.bridge.grading import Grader, Verdict
from hierrouter_jax.bridge.tasks.config import TaskConfig
from hierrouter_jax.bridge.tasks.shots import draw_shots, shots_for
from hierrouter_jax.bridge.tasks.source import read_items
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.context import Turn
from hierrouter_jax.outcomes.table import OutcomeTable, Query

_AS_WRITTEN: Any = False  # what looks like a number stays the text it is
_READERS = {
    ".jsonl": lambda path: pd.read_json(path, lines=True, dtype=_AS_WRITTEN),
    ".csv": lambda path: pd.read_csv(path, dtype=str, keep_default_na=False),
    ".parquet": pd.read_parquet,
}


@dataclass(frozen=True)
class Judged:
    """A response with its verdict.

    Attributes:
      by: who responded: a model, `reference` for the data set's own solution, or empty where unknown.
      response: its text.
      verdict: of the task's grader.
    """

    by: str
    response: str
    verdict: Verdict


@dataclass(frozen=True)
class Example:
    """A question of a task.

    Attributes:
      query: as a collection would ask it.
      stratum: subject or level, where known.
      turns: the prompt as chat turns; empty where only the text is known.
      responses: to it.
    """

    query: Query
    stratum: str
    turns: tuple[Turn, ...]
    responses: tuple[Judged, ...]


def read_examples(
    task: TaskConfig,
    split: str,
    data: Path | None,
    grader: Grader,
    responses: Mapping[str, Sequence[tuple[str, str]]] | None = None,
    limit: int | None = None,
) -> list[Example]:
    """The questions of a source's split, with responses, or else the data set's own solution, judged.

    Args:
      task: the task.
      split: of its source.
      data: folder of a local copy of the benchmarks, to read instead of the hub.
      grader: of the task.
      responses: (who responded, response) by query id; questions without one are left out.
      limit: most questions; None for all.
    Raises:
      InputError: if the source cannot be read, or a response answers none of its questions.
    """
    items = read_items(task, split, data)
    where = f"task {task.name}"
    shots = {}
    if task.shots.count:
        try:
            pool = items if task.shots.split == split else read_items(task, task.shots.split, data)
        except InputError as error:
            raise InputError(f"worked examples: {error}") from None
        shots = draw_shots(task.shots, pool, where)
    if responses is not None:
        unknown = sorted(set(responses) - {item.id for item in items})
        if unknown:
            raise InputError(
                f"responses: id {unknown[0]!r} is no question of {where}, split {split}; its ids run from "
                f"{items[0].id!r} to {items[-1].id!r}"
            )
        items = tuple(item for item in items if item.id in responses)
    asked: list[tuple[Query, str, tuple[Turn, ...]]] = []
    given: list[list[tuple[str, str]]] = []
    for item in items[:limit]:
        shown = [shot.item for shot in shots_for(shots, item.item.stratum, task.shots, where) if shot.id != item.id]
        turns = tuple(task.prompt.turns(item.item, shown))
        query = Query(item.id, turns[-1].content, task.name, item.item.gold, "test", shots=turns[:-1])
        asked.append((query, item.item.stratum, turns))
        given.append(list(responses[item.id]) if responses else [("reference", task.prompt.reference(item.item))])
    pairs = [(query, text) for (query, _, _), those in zip(asked, given, strict=True) for _, text in those]
    verdicts = iter(grader([text for _, text in pairs], [query for query, _ in pairs]))
    return [
        Example(query, stratum, turns, tuple(Judged(by, text, next(verdicts)) for by, text in those))
        for (query, stratum, turns), those in zip(asked, given, strict=True)
    ]


def table_examples(table: OutcomeTable, task: str, limit: int | None = None) -> list[Example]:
    """The queries of a task in an outcome table, with each model's first response and the verdict kept there.

    Raises:
      InputError: if the table has no query of the task, or keeps no verdicts.
    """
    rows = [row for row, query in enumerate(table.queries) if query.task == task]
    if not rows:
        raise InputError(f"the table holds no queries of task {task!r}; its tasks are {', '.join(table.task_names)}")
    missing = {"extracted", "reason"} - set(table.details)
    if missing:
        raise InputError("the table keeps no verdicts, as it was collected by an older version; collect it again")
    nodes = np.arange(table.tree.num_nodes)[table.tree.stage_slice(1)]
    return [
        Example(
            table.queries[row],
            "",
            (),
            tuple(_stored(table, row, int(node)) for node in nodes if table.available[row, node]),
        )
        for row in rows[:limit]
    ]


def _stored(table: OutcomeTable, row: int, node: int) -> Judged:
    extracted, reason = (str(table.details[name][row, node]) for name in ("extracted", "reason"))
    verdict = Verdict(float(table.quality[row, node]), extracted, reason)
    return Judged(table.model_names[table.tree.last_model(node)], str(table.response[row, node]), verdict)


def read_responses(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Responses from a .jsonl, .csv or .parquet file with the columns `id` and `response`, and optionally `model`.

    Returns:
      (model or empty, response) by query id, in the file's order.
    Raises:
      InputError: naming the file and the column or row at fault.
    """
    if path.suffix not in _READERS:
        raise InputError(f"{path}: responses are read from {', '.join(_READERS)} files")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        frame = _READERS[path.suffix](path)
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    for name in ("id", "response"):
        if name not in frame.columns:
            raise InputError(f"{path}: column {name!r} is missing; id and response are needed")
    by_id: dict[str, list[tuple[str, str]]] = {}
    if "model" in frame.columns:
        frame["model"] = frame["model"].where(frame["model"].notna(), "")  # a line may leave it out
    for row, record in enumerate(frame.to_dict("records")):
        if not isinstance(record["id"], str) or not isinstance(record["response"], str):
            raise InputError(f"{path}: row {row}: id and response must be text")
        by_id.setdefault(record["id"], []).append((str(record.get("model", "")), record["response"]))
    if not by_id:
        raise InputError(f"{path}: holds no responses")
    return by_id
