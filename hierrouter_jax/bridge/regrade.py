"""New verdicts on a table's responses, by the graders that its settings name; no model is called."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hierrouter_jax.bridge.grading import Grader
from hierrouter_jax.bridge.grading.verdict import count_verdicts, graded
from hierrouter_jax.bridge.tasks.graders import ByTask, Run, named_grader, with_identities
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import write_json, write_text
from hierrouter_jax.outcomes.failures import FAILED
from hierrouter_jax.outcomes.parts import node_files, rewrite_nodes, with_columns
from hierrouter_jax.outcomes.store import EXTERNAL, HEADER, load_external, load_table, read_header
from hierrouter_jax.outcomes.table import OutcomeTable

KEPT = "regrades"  # inside a table's folder: a folder of each regrading with the verdicts before it
_VERDICT = ("extracted", "reason")


@dataclass(frozen=True)
class Change:
    """A node whose verdict differs.

    Attributes:
      query: id of its query.
      task: name of the query's task.
      node: number of the node in the hop tree.
      route: names of the models on the way to it.
      old_quality, new_quality: quality in [0, 1] before and after.
      old_extracted, new_extracted: part of the response that was taken as its answer, before and after.
      old_reason, new_reason: reason of the verdict before and after.
    """

    query: str
    task: str
    node: int
    route: tuple[str, ...]
    old_quality: float
    new_quality: float
    old_extracted: str
    new_extracted: str
    old_reason: str
    new_reason: str

    @property
    def verdict(self) -> bool:
        """Whether the quality differs, and not only what it rests on."""
        return self.old_quality != self.new_quality


@dataclass(frozen=True)
class Regrade:
    """A table's new verdicts beside its old ones.

    Attributes:
      folder: folder of the table.
      old, new: the table before and after.
      changes: nodes whose quality, extracted answer or reason differs, by query and node.
      graders: identity of the grader before (None where the table does not say) and now, by task.
      old_verdicts: folder of the old verdicts; None where nothing differs, or nothing was written.
    """

    folder: Path
    old: OutcomeTable
    new: OutcomeTable
    changes: tuple[Change, ...]
    graders: dict[str, tuple[str | None, str | None]]
    old_verdicts: Path | None = None

    @property
    def verdicts(self) -> list[Change]:
        return [change for change in self.changes if change.verdict]

    @property
    def differs(self) -> bool:
        return bool(self.changes) or any(before != now for before, now in self.graders.values())


def regrade(
    folder: Path | str, run: Run | None = None, allow_unsandboxed: bool = False, dry_run: bool = False
) -> list[Regrade]:
    """Judge every response of a table anew, and of the table of models outside the pool that lies in it.

    Where something differs, the old verdicts go to a folder of their own under FOLDER/regrades, and the table gets
    the new ones, the identities of the graders and a fingerprint of its own. Each table is changed as a whole or not at
    all, whenever the process ends.

    Args:
      folder: folder of the table.
      run: function that calls a grader, as `ByTask` takes it.
      allow_unsandboxed: whether to let graders run programs unprotected where there is no sandbox.
      dry_run: whether to look only what would differ.
    Returns:
      The outside table's, if there is one, and the table's.
    Raises:
      InputError: before anything is written, if a table is none, or its settings name no graders.
    """
    folder = Path(folder)
    beside = load_external(folder)
    tables = ([(folder / EXTERNAL, beside)] if beside else []) + [(folder, load_table(folder))]
    graders = [graders_of(table, at, run, allow_unsandboxed) for at, table in tables]
    done = []
    for (at, table), grader in zip(tables, graders, strict=True):
        new, changes = compared(table, grader)
        identities = {task: (_recorded(table, task), now) for task, now in grader.identities().items()}
        done.append(Regrade(at, table, new, changes, identities))
    return done if dry_run else [_written(one) if one.differs else one for one in done]


def graders_of(table: OutcomeTable, where: Path, run: Run | None = None, allow_unsandboxed: bool = False) -> ByTask:
    """The graders that a table's settings name for its tasks.

    Raises:
      InputError: if it was not collected with tasks, a query is of none of them, or a grader is not to be had.
    """
    tasks = table.settings.get("tasks")
    whole = isinstance(tasks, Mapping) and all(
        isinstance(task, Mapping) and "grader" in task for task in tasks.values()
    )
    if not whole or not tasks:
        raise InputError(
            f"{where / HEADER}: settings name no tasks with graders, so there is nothing to judge by; only tables "
            "that were collected with --tasks or --mix can be regraded"
        )
    unknown = next((query for query in table.queries if query.task not in tasks), None)
    if unknown is not None:
        raise InputError(
            f"{where / HEADER}: query {unknown.id!r} is of task {unknown.task!r}, but the settings name graders of "
            f"{', '.join(tasks)} only"
        )
    graders: dict[str, Grader] = {
        name: named_grader(name, task["grader"], task.get("grader_settings") or None, allow_unsandboxed)
        for name, task in tasks.items()
    }
    grader = ByTask(graders, run)
    grader.identities()
    return grader


def compared(table: OutcomeTable, grader: Grader) -> tuple[OutcomeTable, tuple[Change, ...]]:
    """A table with new verdicts, and where they differ; nodes whose call failed stay as they are."""
    blank = np.full(table.quality.shape, "", dtype=object)
    before = {name: table.details.get(name, blank) for name in _VERDICT}
    failed = table.details.get("finish_reason", blank) == FAILED
    why = np.array([text.partition(": ")[2] for text in before["reason"].ravel()], dtype=object).reshape(failed.shape)
    new = graded(table, grader, failed, why)
    differs = (new.quality != table.quality) & table.available
    for name in _VERDICT:
        differs |= (new.details[name] != before[name]) & table.available
    differs[:, 0] = False
    names = table.model_names
    changes = []
    for row, node in zip(*map(np.ndarray.tolist, np.nonzero(differs)), strict=True):
        query, at = table.queries[row], (row, node)
        change = Change(
            query=query.id,
            task=query.task,
            node=node,
            route=tuple(names[model] for model in table.tree.route(node)),
            old_quality=float(table.quality[at]),
            new_quality=float(new.quality[at]),
            old_extracted=str(before["extracted"][at]),
            new_extracted=str(new.details["extracted"][at]),
            old_reason=str(before["reason"][at]),
            new_reason=str(new.details["reason"][at]),
        )
        changes.append(change)
    return new, tuple(changes)


def _recorded(table: OutcomeTable, task: str) -> str | None:
    return table.settings["tasks"][task].get("grader_identity")


def _written(one: Regrade) -> Regrade:
    """The old verdicts kept, then the new ones written."""
    header = read_header(one.folder)
    earlier: Sequence[Any] = header["settings"].get("regrades", [])
    old_verdicts = one.folder / KEPT / f"{len(earlier) + 1:03d}"
    _keep(one, old_verdicts, header)
    record = {
        "from_fingerprint": one.old.fingerprint,
        "kept": f"{KEPT}/{old_verdicts.name}",
        "graders": {task: {"from": before, "to": now} for task, (before, now) in one.graders.items()},
        "verdicts_changed": len(one.verdicts),
        "reasons_changed": len(one.changes) - len(one.verdicts),
    }
    settings = with_identities(header["settings"], {task: now for task, (_, now) in one.graders.items()})
    settings |= {"verdicts": count_verdicts(one.new), "regrades": [*earlier, record]}
    columns = {"quality": one.new.quality, **{name: one.new.details[name] for name in _VERDICT}}
    ids = [query.id for query in one.new.queries]
    parts = {name: with_columns(rows, ids, columns) for name, rows in node_files(one.folder, header).items()}
    details = sorted({*header["details"], *_VERDICT})
    header |= {"settings": settings, "details": details, "fingerprint": one.new.fingerprint}
    rewrite_nodes(one.folder, header, parts)
    return replace(one, old_verdicts=old_verdicts)


def _keep(one: Regrade, old_verdicts: Path, header: dict[str, Any]) -> None:
    """The verdicts and the header before, and what changes, in a folder that is there whole or not at all."""
    unfinished = old_verdicts.with_name(f".{old_verdicts.name}")
    for left in (unfinished, old_verdicts):  # by a process that was killed before the table changed
        shutil.rmtree(left, ignore_errors=True)
    unfinished.mkdir(parents=True)
    old, (query, node) = one.old, np.nonzero(one.old.available[:, 1:])
    node = node + 1
    rows: dict[str, Any] = {"query_id": [old.queries[row].id for row in query.tolist()], "node": node.astype(np.int32)}
    rows["quality"] = old.quality[query, node]
    rows |= {name: old.details[name][query, node] for name in _VERDICT if name in old.details}
    pq.write_table(pa.table(rows), unfinished / "verdicts.parquet", compression="zstd")
    write_json(unfinished / HEADER, header)
    lines = (json.dumps(asdict(change), ensure_ascii=False) for change in one.changes)
    write_text(unfinished / "changes.jsonl", "".join(f"{line}\n" for line in lines))
    unfinished.rename(old_verdicts)
