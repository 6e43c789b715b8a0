"""Worker processes for a sweep on the CPU: one a core, each running its members one after the other.

One program over all cores waits for the slowest core at every operation; processes never wait for each other.
"""

import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from hierrouter_jax.errors import Unfinished

# JAX and what imports it wait until a worker is pinned: XLA counts its cores and reads its flags when it starts.
if TYPE_CHECKING:
    from hierrouter_jax.sweeps.members import Chunk, Splits, Trained

_SINGLE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
_PATIENCE = 300  # seconds that workers wait for each other before they are timed together
_WAY_OUT = (
    "members that were finished are kept where the sweep has a folder, so run it again to go on, or with another layout"
)


class WorkerError(Unfinished):
    """A worker process died: killed, out of memory, or never started."""

    code = 1


def cores() -> tuple[int, ...]:
    """The cores that this process may run on."""
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


def refuse_unguarded() -> None:
    """Stop a script that a worker process runs again, because all of it runs on import.

    Raises:
      WorkerError: in such a process; the first one's workers then die, and it says so.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise WorkerError("a sweep with worker processes must be started under: if __name__ == '__main__':")


class PinnedPool:
    """Worker processes, one a core, that hold on to it from before JAX is imported; use it as a context.

    Left in order, the processes finish and clean up behind themselves; left by an exception, or when this process is
    gone, they end in the middle of what they do.

    Attributes:
      executor: what takes their work.

    Args:
      on: numbers of the cores, one a process.
      start: called first in each process with `free` and `alive`, which it gives to `settle`, and with `arguments`.
    """

    def __init__(self, on: Sequence[int], start: Callable[..., None], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        # The workers end when the other end of this pipe is closed: by us, or because we are gone.
        self._alive, self._ours = context.Pipe(duplex=False)
        self._free = context.SimpleQueue()
        for core in on:
            self._free.put(core)
        arguments = (self._free, self._alive, *arguments)
        self.executor = ProcessPoolExecutor(len(on), context, initializer=start, initargs=arguments)

    def __enter__(self) -> "PinnedPool":
        return self

    def end_at_once(self) -> None:
        """Wait for no work, which may hang."""
        self._ours.close()

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        try:
            if kind is not None:
                self.end_at_once()
            self.executor.shutdown(wait=True, cancel_futures=True)
        finally:
            for end in (self._ours, self._alive, self._free):
                end.close()


class Workers:
    """A pool of pinned processes that hold the tables; use it as a context."""

    def __init__(self, splits: "Splits", on: tuple[int, ...]) -> None:
        self.count = len(on)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="hierrouter-sweep-")))
            _save(splits, folder)
            together = multiprocessing.get_context("spawn").Barrier(self.count)
            pool = stack.enter_context(PinnedPool(on, _start, folder, together))
            self._executor, self.end_at_once = pool.executor, pool.end_at_once
            self._open = stack.pop_all()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def run(self, chunks: Iterable["Chunk"]) -> Iterator[tuple["Chunk", "Trained"]]:
        """Train chunks, each yielded when it is done.

        Raises:
          WorkerError: if a worker died; what was yielded before is whole.
        """
        with naming_death(_WAY_OUT):
            waiting = {self._executor.submit(_train, chunk): chunk for chunk in chunks}
            for done in as_completed(waiting):
                yield waiting.pop(done), done.result()

    def rate(self, static: Any, hyper: Any) -> float:
        """Updates a second of all workers together, measured at the same time.

        Raises:
          WorkerError: if a worker died.
        """
        with naming_death(_WAY_OUT):
            measured = [self._executor.submit(_measure, static, hyper) for _ in range(self.count)]
            return sum(future.result() for future in measured)


@contextmanager
def naming_death(way_out: str) -> Iterator[None]:
    """Say in a sentence that a worker process died.

    Args:
      way_out: words that say what is there still, and how to go on.

    Raises:
      WorkerError: if one died.
    """
    try:
        yield
    except BrokenProcessPool:
        raise WorkerError(
            "a worker process died (killed, out of memory, or started from a script that is not under "
            f"if __name__ == '__main__':); {way_out}"
        ) from None


class _Worker:
    """What a worker process holds."""

    splits: "Splits"
    together: Barrier


def _start(free: "SimpleQueue[int]", alive: Connection, folder: Path, together: Barrier) -> None:
    """In a new worker: take a core, read the tables."""
    settle(free, alive)
    _Worker.splits = _load(folder)
    _Worker.together = together


def settle(free: "SimpleQueue[int]", alive: Connection) -> None:
    """In a new worker, before JAX is imported: take a core, compute on it alone, end when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends us
    tqdm.set_lock(threading.RLock())  # its own is a semaphore, which a process that is cut off leaves behind
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    os.sched_setaffinity(0, {free.get()})
    inherited = re.sub(r"--xla_force_host_platform_device_count=\S*", "", os.environ.get("XLA_FLAGS", ""))
    os.environ |= {"XLA_FLAGS": f"{inherited} {_SINGLE_THREAD}".strip(), "JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "0"}


def _end_with_parent(alive: Connection) -> None:
    try:
        alive.recv()
    except (EOFError, OSError):
        os._exit(1)


def _train(chunk: "Chunk") -> "Trained":
    from hierrouter_jax.sweeps.members import run_chunk

    return run_chunk(chunk, _Worker.splits, "map")


def _measure(static: Any, hyper: Any) -> float:
    from hierrouter_jax.sweeps.members import updates_per_second

    def wait() -> None:
        _Worker.together.wait(_PATIENCE)

    return updates_per_second(static, hyper, _Worker.splits.train, "map", 1, wait=wait)


def _save(splits: "Splits", folder: Path) -> None:
    """One .npy file a leaf: mapped into memory they are aligned, so that XLA computes on them without a copy."""
    for split, table in splits._asdict().items():
        for field in fields(table):
            value = getattr(table, field.name)
            if field.name == "tree":
                np.save(folder / f"{split}.tree.npy", [value.num_models, value.horizon])
            elif value is not None:
                np.save(folder / f"{split}.{field.name}.npy", np.asarray(value))


def _load(folder: Path) -> "Splits":
    import jax

    from hierrouter_jax.envs.types import DeviceTable
    from hierrouter_jax.hop_tree import HopTree
    from hierrouter_jax.sweeps.members import Splits

    def table(split: str) -> DeviceTable:
        leaves: dict[str, Any] = {"tree": HopTree(*map(int, np.load(folder / f"{split}.tree.npy")))}
        for path in folder.glob(f"{split}.*.npy"):
            name = path.name.split(".")[1]
            if name != "tree":
                leaves[name] = jax.device_put(np.load(path, mmap_mode="r"))
        leaves["num_tasks"] = int(leaves["num_tasks"])  # static, as the order of ties
        leaves["tie_order"] = tuple(map(int, leaves["tie_order"]))
        return DeviceTable(**leaves)

    return Splits(*(table(split) for split in Splits._fields))
