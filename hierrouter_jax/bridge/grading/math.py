"""Grades free-form mathematical answers: by form in this process, by algebra in workers that can be killed."""

import logging
import multiprocessing
import resource
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version

import psutil

from hierrouter_jax.bridge.grading.final_answer import FinalAnswer, final_answer
from hierrouter_jax.bridge.grading.latex.compare import RIGHT, WRONG, NeedsAlgebraError, judge, no_algebra
from hierrouter_jax.bridge.grading.markup import boxes
from hierrouter_jax.bridge.grading.parallel import grade_all
from hierrouter_jax.bridge.grading.verdict import Verdict, check_paired
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query

WORKER_MEMORY = 4 * 2**30  # bytes of address space; sympy needs a tenth
_guard = threading.Lock()  # a limit of memory is the process's
_SHORT = {"timeout": "timeout", "crashed": "crash"}  # what `grade_all` says of a worker that was killed or died


@dataclass(frozen=True)
class MathGrader:
    r"""Grades a response by its last committed answer; `gold` is the answer, or a solution with a \boxed{} in it.

    Reasons: `right`; `wrong: value`, `form` (a tuple for a set, a closed for an open end), `base`, `unit`,
    `name` (x = 5 for y = 5), `count`, `equation` (a condition for a value), `too long`; `no answer`; `timeout`;
    `crash` where a worker died, as of too little memory. Only the first is worth 1.

    Attributes:
      seconds: deadline of one comparison; the worker is killed at it. Where the grader itself runs in a worker of
        `grade_all`, as in a collection, that one's deadline for a response (120 s unless given) holds instead.
      workers: number of processes; as many as there are cores unless given. With 0 comparisons run in this process,
        where nothing stops them: for callers that themselves run graders in processes with a deadline.
    """

    seconds: float = 10.0
    workers: int | None = None

    @property
    def identity(self) -> str:
        """Names the grader and whatever its verdicts depend on, for caches."""
        return f"math 4, math-verify {version('math-verify')}, sympy {version('sympy')}, {self.seconds:g} s"

    def __call__(self, responses: Sequence[str], queries: Sequence[Query]) -> list[Verdict]:
        """Verdicts in the order of the responses.

        Raises:
          InputError: if there is not one response a query, or a query has no gold answer.
        """
        check_paired(responses, queries)
        golds = [_gold(query) for query in queries]
        answers = [final_answer(response) for response in responses]
        # Only an equation's meaning hangs on the question: all others are compared once for all questions.
        cases = [
            (gold, answer.text, query.text if "=" in answer.text else "")
            for gold, answer, query in zip(golds, answers, queries, strict=True)
        ]
        reasons = [_by_form(*case) for case in cases]
        open_cases = list(dict.fromkeys(case for case, reason in zip(cases, reasons, strict=True) if reason is None))
        by_algebra = dict(zip(open_cases, self._by_algebra(open_cases), strict=True))
        return [
            _verdict(answer, reason or by_algebra[case])
            for case, answer, reason in zip(cases, answers, reasons, strict=True)
        ]

    def _by_algebra(self, cases: list[tuple[str, str, str]]) -> list[str]:
        """Reasons for cases of gold, answer and question, in their order."""
        golds = [Query(str(row), question, "math", gold, "") for row, (gold, _, question) in enumerate(cases)]
        answers = [answer for _, answer, _ in cases]
        if self.workers == 0:
            return [verdict.reason for verdict in _load_algebra()(answers, golds)]
        if multiprocessing.current_process().daemon:  # it may start no processes; its own deadline holds
            algebra = _load_algebra()
            with _memory_limited():
                return [verdict.reason for verdict in algebra(answers, golds)]
        verdicts = grade_all(_Algebra(), answers, golds, progress=False, seconds=self.seconds, workers=self.workers)
        return [_SHORT.get(verdict.reason.partition(":")[0], verdict.reason) for verdict in verdicts]


class _Algebra:
    """A grader of bare answers by algebra, which loads sympy before the first deadline runs."""

    def __reduce__(self) -> tuple[Callable[[], "_Algebra"], tuple[()]]:
        return _in_worker, ()

    def __call__(self, responses: Sequence[str], queries: Sequence[Query]) -> list[Verdict]:
        from hierrouter_jax.bridge.grading.latex.algebra import equal_expressions

        verdicts = []
        for answer, query in zip(responses, queries, strict=True):
            try:
                reason = judge(query.gold, answer, equal_expressions, query.text)
            except (MemoryError, RecursionError):
                reason = "crash"
            except Exception:  # sympy raises anything of what it reads and cannot compute, as a derivative by a number
                reason = f"{WRONG}: value"
            verdicts.append(Verdict(float(reason == RIGHT), answer, reason))
        return verdicts


def _load_algebra() -> _Algebra:
    """Loads math-verify and sympy, a second's work."""
    import_module("hierrouter_jax.bridge.grading.latex.algebra")

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that the caller keeps the deadline
    return _Algebra()


def _in_worker() -> _Algebra:
    resource.setrlimit(resource.RLIMIT_AS, (WORKER_MEMORY, WORKER_MEMORY))  # 10^{10^{10}} would take all there is
    return _load_algebra()


@contextmanager
def _memory_limited() -> Iterator[None]:
    """Inside, this process gets `WORKER_MEMORY` beside what it has; after it as much as before, for its other work."""
    with _guard:
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        limits = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
        most = psutil.Process().memory_info().vms + WORKER_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (min([most, *limits]), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _gold(query: Query) -> str:
    runs = boxes(query.gold)
    gold = runs[-1][1] if runs else query.gold.strip()
    if not gold:
        raise InputError(
            f"query {query.id}: gold is empty; a math query needs its answer, or a solution with \\boxed{{}}"
        )
    return gold


def _by_form(gold: str, answer: str, question: str) -> str | None:
    """The reason where form and numbers decide it, else None."""
    if not answer:
        return "no answer"
    try:
        return judge(gold, answer, no_algebra, question)
    except NeedsAlgebraError:
        return None


def _verdict(answer: FinalAnswer, reason: str) -> Verdict:
    return Verdict(float(reason == RIGHT), answer.text, reason)
