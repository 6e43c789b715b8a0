"""Each query by the grader of its task."""

from collections.abc import Mapping, Sequence

from hierrouter_jax.bridge.grading import Grader, Verdict
from hierrouter_jax.bridge.tasks.config import TaskConfig
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query
from hierrouter_jax.plugins import load_object


class ByTask:
    """A grader that hands every response to the grader of its query's task, all of a task's at once.

    Args:
      graders: by task name.
    """

    def __init__(self, graders: Mapping[str, Grader]) -> None:
        self._graders = dict(graders)

    def __call__(self, responses: Sequence[str], queries: Sequence[Query]) -> list[Verdict]:
        """Verdicts in the order of the responses.

        Raises:
          InputError: if a task has no grader, or its grader does not give a verdict for each response.
        """
        rows: dict[str, list[int]] = {}
        for row, query in enumerate(queries):
            rows.setdefault(query.task, []).append(row)
        unknown = [task for task in rows if task not in self._graders]
        if unknown:
            raise InputError(f"there is no grader for task {unknown[0]!r}; there are {', '.join(self._graders)}")
        verdicts: dict[int, Verdict] = {}
        for task, at in rows.items():
            given = self._graders[task]([responses[row] for row in at], [queries[row] for row in at])
            if len(given) != len(at):
                raise InputError(f"the grader of task {task!r} gave {len(given)} verdicts for {len(at)} responses")
            verdicts |= zip(at, given, strict=True)
        return [verdicts[row] for row in range(len(queries))]


def make_grader(task: TaskConfig) -> Grader:
    """The grader that a task names: what its import path holds, or for a class an object of it.

    Raises:
      InputError: if it cannot be imported or made.
    """
    found = load_object(task.grader)
    if isinstance(found, type) or task.grader_settings is not None:
        try:
            found = found(**(task.grader_settings or {}))
        except (TypeError, ValueError) as error:
            raise InputError(f"task {task.name}: grader {task.grader} cannot be made ({error})") from None
    if not callable(found):
        raise InputError(f"task {task.name}: grader {task.grader} is no grader: it cannot be called")
    return found
