"""Who does a leaderboard's work: this process, or one worker a core, each task's result a file of its own."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

# JAX and what imports it wait until a worker is pinned: XLA counts its cores and reads its flags when it starts.
from hierrouter_jax.sweeps.workers import PinnedPool, WorkerError, refuse_unguarded, settle

if TYPE_CHECKING:
    from hierrouter_jax.studies.leaderboard.work import Task


def done_by_workers(tasks: Sequence["Task"], cores: tuple[int, ...]) -> Generator["Task"]:
    """Do all tasks, one worker a core; each is yielded when its results are on disk.

    Raises:
      WorkerError: if a worker died; the results of what was yielded are whole.
    """
    refuse_unguarded()
    try:
        with PinnedPool(cores, settle) as pool:
            waiting = {pool.executor.submit(_do, task): task for task in tasks}
            for finished in as_completed(waiting):
                finished.result()
                yield waiting[finished]
    except BrokenProcessPool:
        raise WorkerError(
            "a worker process died (killed, out of memory, or started from a script that is not under "
            "if __name__ == '__main__':); finished results are kept, so run it again to go on, or with --workers 1"
        ) from None


def done_here(tasks: Sequence["Task"], do: Callable[["Task"], None]) -> Generator["Task"]:
    """Do all tasks in this process."""
    for task in tasks:
        do(task)
        yield task


def _do(task: "Task") -> None:
    from hierrouter_jax.studies.leaderboard.work import do

    do(task)
