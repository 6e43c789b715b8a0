"""Examples of a task for a person: prompts, golds, and responses with their verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hierrouter_jax.bridge.grading import Grader, Verdict
from hierrouter_jax.bridge.tasks.config import TaskConfig
from hierrouter_jax.bridge.tasks.draw import draw_shots, shots_for
from hierrouter_jax.bridge.tasks.source import read_items
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.rows import kind, read_rows
from hierrouter_jax.outcomes.table import OutcomeTable, Query, Turn
from hierrouter_jax.outcomes.texts import NotText, as_text, unknown


@dataclass(frozen=True)
class GradedResponse:
    """A response with its verdict.

    Attributes:
      by: name of who responded: a model, `reference` for the data set's own solution, or empty where unknown.
      response: text of the response.
      verdict: verdict of the task's grader.
    """

    by: str
    response: str
    verdict: Verdict


@dataclass(frozen=True)
class Example:
    """A question of a task.

    Attributes:
      query: the query as a collection would ask it.
      stratum: subject or level, where it is known.
      turns: the prompt as chat turns; empty where only the text is known.
      responses: responses to the question.
    """

    query: Query
    stratum: str
    turns: tuple[Turn, ...]
    responses: tuple[GradedResponse, ...]


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
      task: task whose questions are read.
      split: split of its source.
      data: folder of a local copy of the benchmarks, to read instead of the hub.
      grader: grader of the task.
      responses: pairs (who responded, response) by query id; questions without one are left out.
      limit: largest number of questions; None for all.
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
        strangers = sorted(set(responses) - {item.id for item in items})
        if strangers:
            raise InputError(
                f"responses: id {strangers[0]!r} is no question of {where}, split {split}; its ids run from "
                f"{items[0].id!r} to {items[-1].id!r}"
            )
        items = tuple(item for item in items if item.id in responses)
    questions: list[tuple[Query, str, tuple[Turn, ...]]] = []
    answers: list[list[tuple[str, str]]] = []
    for item in items[:limit]:
        shown = [shot.item for shot in shots_for(shots, item.item.stratum, task.shots, where) if shot.id != item.id]
        turns = tuple(task.prompt.turns(item.item, shown))
        query = Query(item.id, turns[-1].content, task.name, item.item.gold, "test", shots=turns[:-1])
        questions.append((query, item.item.stratum, turns))
        answers.append(list(responses[item.id]) if responses else [("reference", task.prompt.reference(item.item))])
    pairs = [(query, text) for (query, _, _), those in zip(questions, answers, strict=True) for _, text in those]
    verdicts = iter(grader([text for _, text in pairs], [query for query, _ in pairs]))
    return [
        Example(query, stratum, turns, tuple(GradedResponse(by, text, next(verdicts)) for by, text in those))
        for (query, stratum, turns), those in zip(questions, answers, strict=True)
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
        raise InputError("the table keeps no verdicts: it was imported, or collected by an older version")
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


def _stored(table: OutcomeTable, row: int, node: int) -> GradedResponse:
    extracted, reason = (str(table.details[name][row, node]) for name in ("extracted", "reason"))
    verdict = Verdict(float(table.quality[row, node]), extracted, reason)
    return GradedResponse(table.model_names[table.tree.last_model(node)], str(table.response[row, node]), verdict)


def read_responses(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Responses from a file of rows (`read_rows`) with the columns `id` and `response`, and optionally `model`.

    Returns:
      (model or empty, response) by query id, in the file's order.
    Raises:
      InputError: naming the file and the column or row at fault.
    """
    rows = read_rows(path)
    rows.need(path, "id", "response")
    by_id: dict[str, list[tuple[str, str]]] = {}
    for row, record in rows.rows:
        names = ("id", "response", "model")
        try:
            # An answer of no characters is an answer, which an empty cell of a CSV stands for too.
            texts = {name: "" if unknown(record.get(name)) else as_text(record[name]) for name in names}
        except NotText as error:
            raise InputError(f"{path}: row {row}: {error}") from None
        if not texts["id"] or (unknown(record.get("response")) and kind(path) != ".csv"):
            raise InputError(f"{path}: row {row}: id and response must be text")
        by_id.setdefault(texts["id"], []).append((texts["model"], texts["response"]))
    if not by_id:
        raise InputError(f"{path}: holds no responses")
    return by_id
