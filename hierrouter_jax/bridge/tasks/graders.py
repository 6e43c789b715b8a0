"""Each query by the grader of its task."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import lru_cache
from typing import Any

from hierrouter_jax.bridge.grading import Grader, Verdict
from hierrouter_jax.bridge.tasks.config import TaskConfig
from hierrouter_jax.config import from_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query
from hierrouter_jax.plugins import load_object, source_digest

Run = Callable[[Grader, Sequence[str], Sequence[Query]], list[Verdict]]


@dataclass(frozen=True)
class ImportedGrader:
    """A grader by its import path, loaded where it is called: it can be sent to a process that has not imported it.

    Attributes:
      path: import path of a grader, or of a class that makes one.
      settings: arguments of that class, as JSON; empty where there are none.

    Raises:
      InputError: when called: if it cannot be imported or made, or is no grader.
    """

    path: str
    settings: str = ""

    def __call__(self, responses: Sequence[str], queries: Sequence[Query]) -> list[Verdict]:
        return _load(self.path, self.settings)(responses, queries)

    @property
    def identity(self) -> str:
        """What its verdicts depend on, for caches: what the grader says itself, or else the file that it is named in.

        Not the file of its code, which of a grader made by `one_by_one` or `functools.partial` is not the user's.
        """
        identity = getattr(_load(self.path, self.settings), "identity", None)
        if identity is None:
            identity = source_digest(self.path) or ""
        return f"{self.path.rpartition('/')[2]} {self.settings} {identity}"


class ByTask:
    """A grader that hands every response to the grader of its query's task, all of a task's at once.

    Args:
      graders: graders by task name.
      run: function that calls a grader with responses and queries; by default as it is. Whatever spreads a grader
        over processes or remembers its verdicts goes here.
    """

    def __init__(self, graders: Mapping[str, Grader], run: Run | None = None) -> None:
        self.graders = dict(graders)
        self._run = run or (lambda grader, responses, queries: grader(responses, queries))

    def identities(self) -> dict[str, str | None]:
        """What each task's verdicts depend on: its grader's name, version and settings; None if that says nothing.

        Asked before models are called, it also tells what a grader cannot do without.

        Raises:
          InputError: if code is to be run and there is no sandbox, or whatever else a grader refuses.
        """
        return {task: getattr(grader, "identity", None) for task, grader in self.graders.items()}

    def __call__(self, responses: Sequence[str], queries: Sequence[Query]) -> list[Verdict]:
        """Verdicts in the order of the responses.

        Raises:
          InputError: if a task has no grader, or its grader does not give a verdict for each response.
        """
        rows: dict[str, list[int]] = {}
        for row, query in enumerate(queries):
            rows.setdefault(query.task, []).append(row)
        unknown = [task for task in rows if task not in self.graders]
        if unknown:
            raise InputError(f"there is no grader for task {unknown[0]!r}; there are {', '.join(self.graders)}")
        verdicts: dict[int, Verdict] = {}
        for task, at in rows.items():
            part = self._run(self.graders[task], [responses[row] for row in at], [queries[row] for row in at])
            if len(part) != len(at):
                raise InputError(f"the grader of task {task!r} gave {len(part)} verdicts for {len(at)} responses")
            verdicts |= zip(at, part, strict=True)
        return [verdicts[row] for row in range(len(queries))]


def with_identities(settings: Mapping[str, Any], identities: Mapping[str, str | None]) -> dict[str, Any]:
    """A table's settings with the identity of the grader that each task was judged by."""
    tasks = {name: {**task, "grader_identity": identities[name]} for name, task in settings["tasks"].items()}
    return {**settings, "tasks": tasks}


def make_grader(task: TaskConfig, allow_unsandboxed: bool = False) -> ImportedGrader:
    """The grader that a task names: what its import path holds, or for a class an object of it.

    Args:
      task: task that names the grader.
      allow_unsandboxed: whether to let a grader that runs programs run them unprotected where there is no sandbox.

    Raises:
      InputError: if it cannot be imported or made.
    """
    return named_grader(task.name, task.grader, task.grader_settings, allow_unsandboxed)


def named_grader(
    task: str, path: str, named: Mapping[str, Any] | None, allow_unsandboxed: bool = False
) -> ImportedGrader:
    """As `make_grader`, of a task whose grader is known by its import path and the arguments of its class.

    Raises:
      InputError: if it cannot be imported or made.
    """
    try:
        if allow_unsandboxed and hasattr(load_object(path), "allow_unsandboxed"):
            named = {**(named or {}), "allow_unsandboxed": True}
        settings = "" if named is None else json.dumps(named, sort_keys=True)
        _load(path, settings)
    except InputError as error:
        raise InputError(f"task {task}: grader {error}") from None
    return ImportedGrader(path, settings)


@lru_cache(maxsize=64)
def _load(path: str, settings: str) -> Grader:
    grader: Any = load_object(path)
    if isinstance(grader, type) or settings:
        values = json.loads(settings or "{}")
        try:
            has_types = isinstance(grader, type) and is_dataclass(grader)
            grader = from_dict(grader, values, "grader_settings") if has_types else grader(**values)
        except (TypeError, ValueError, NameError) as error:
            raise InputError(f"{path}: cannot be made ({error})") from None
    if callable(grader):
        loaded: Any = grader
        return loaded
    raise InputError(f"{path}: is no grader, for it cannot be called")
