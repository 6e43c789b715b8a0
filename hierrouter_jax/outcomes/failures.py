"""Why nobody is right: of the queries that no response of a table answers, which were cut, not read, or wrong."""

from collections import Counter
from typing import Any

import numpy as np
from jaxtyping import Bool

from hierrouter_jax.outcomes.table import RIGHT, OutcomeTable

FAILED = "failed"  # as finish reason, and as class of the verdict's reason
CAUSES = ("failed", "truncated", "format", "wrong")  # of a response; the first that holds
ALL_TASKS = "all tasks"
_FIRST = ("truncated", "format", "failed", "wrong")  # of a query: what might have been right comes first
_UNREAD = ("no answer", "no code", "unmarked", "several", "refusal")
_GRADER = ("timeout", "crash", "crashed")  # nothing is extracted because the grader, or a program, came to no end


def rows_by_task(table: OutcomeTable) -> dict[str, Bool[np.ndarray, " Q"]]:
    """Which queries are of each task that has some, and where there are several such tasks all under `ALL_TASKS`."""
    tasks = {name: table.task == place for place, name in enumerate(table.task_names)}
    tasks = {name: rows for name, rows in tasks.items() if rows.any()}
    if len(tasks) > 1:
        tasks[ALL_TASKS] = np.ones(table.num_queries, dtype=bool)
    return tasks


def nobody_right(table: OutcomeTable) -> list[dict[str, Any]]:
    """A row a task, and where there are several one for all, and for routes of one hop and of any number.

    A response that is not right was *failed*, where the call was; else *truncated*, where it ended at the longest
    response; else of a *format* that no answer could be read from; else *wrong*. A query that nobody answers right
    counts as truncated where any of its responses is, else as format, else as failed: so `wrong` are the queries whose
    every response was read whole and is wrong.

    Returns:
      `task`, `hops` ("one" or "any"), `queries` that the table holds, `nobody_right` of them, their number by cause
      (`by_query`), that of their responses (`by_response`), and how often each class of verdict stands there
      (`reasons`). A cause that the table does not tell is None: truncation without finish reasons, format without
      verdicts.
    """
    cause, known_causes = _causes(table), _known_causes(table)
    tasks = rows_by_task(table)
    rows = []
    for hops, stages in (("one", table.tree.stages == 1), ("any", table.tree.stages > 0)):
        if hops == "any" and table.tree.horizon == 1:
            continue
        held = table.available & stages
        lost = held.any(axis=1) & ~((table.quality >= RIGHT) & held).any(axis=1)
        for task, its in tasks.items():
            rows.append(
                {"task": task, "hops": hops, "queries": int((held.any(axis=1) & its).sum())}
                | _counted(table, cause, held & (lost & its)[:, None], known_causes)
            )
    return rows


def _counted(
    table: OutcomeTable, cause: np.ndarray, nodes: Bool[np.ndarray, "Q N"], known_causes: frozenset[str]
) -> dict[str, Any]:
    """What the wanted responses, of queries that nobody answers right, come to."""
    here = {name: (cause == CAUSES.index(name)) & nodes for name in CAUSES}
    by_query, left = {}, nodes.any(axis=1)
    for name in _FIRST:
        its = left & (here[name].any(axis=1) if name != "wrong" else True)
        by_query[name], left = int(its.sum()), left & ~its
    reasons = Counter(_class(text) for text in table.details["reason"][nodes]) if "reason" in table.details else {}
    return {
        "nobody_right": int(nodes.any(axis=1).sum()),
        "by_query": {name: by_query[name] if name in known_causes else None for name in CAUSES},
        "by_response": {name: int(here[name].sum()) if name in known_causes else None for name in CAUSES},
        "reasons": dict(sorted(dict(reasons).items(), key=lambda pair: (-pair[1], pair[0]))),
    }


def _known_causes(table: OutcomeTable) -> frozenset[str]:
    """Causes that the table's columns can tell."""
    ends, verdicts = "finish_reason" in table.details, {"reason", "extracted"} <= table.details.keys()
    known = {"failed": ends or verdicts, "truncated": ends, "format": verdicts, "wrong": True}
    return frozenset(name for name, one in known.items() if one)


def _causes(table: OutcomeTable) -> np.ndarray:
    """Index in `CAUSES` of the cause of each response, as if none were right [Q, N]."""
    nothing = np.full(table.quality.shape, "", dtype=object)
    ends, reason, extracted = (table.details.get(name, nothing) for name in ("finish_reason", "reason", "extracted"))
    classes = np.vectorize(_class, otypes=[object])(reason)
    empty = np.vectorize(lambda text: not str(text).strip(), otypes=[bool])(extracted)
    unread = np.isin(classes, _UNREAD) | (empty & ~np.isin(classes, _GRADER))
    if "format" not in _known_causes(table):
        unread[:] = False
    failed = (ends == FAILED) | (classes == FAILED)
    return np.select([failed, ends == "length", unread], [0, 1, 2], 3)


def _class(reason: Any) -> str:
    return str(reason).partition(":")[0]
