"""Grading many responses: over processes that can be killed, with a progress bar, each verdict kept."""

import hashlib
import multiprocessing
import os
import pickle
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import cloudpickle
from tqdm import tqdm

from hierrouter_jax.bridge.grading.verdict import Grader, Verdict
from hierrouter_jax.errors import InputError, brief
from hierrouter_jax.outcomes.table import Query
from hierrouter_jax.sums import checked_rows, row_sum, write_ahead

OUT_OF_TIME = "timeout: the grader did not answer"
# Reasons that say nothing of the response: a busy machine, a sandbox that did not start.
_NOT_KEPT = ("timeout: wall", OUT_OF_TIME, "no verdict: bwrap", "no verdict: setpriv")
_START_SECONDS = 120.0
# A worker imports this package and what the grader needs, and never the program that asks for it: that may be a script
# without a main guard, a notebook, or text on standard input. An interrupt is the asking process's to answer.
_START = f"""import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
from multiprocessing.connection import Connection
pipe = Connection(int(sys.argv[1]))
sys.path[:] = pipe.recv()
from {__name__} import serve
serve(pipe)
"""
_SCHEMA_VERSION = 2


class VerdictCache:
    """Verdicts of earlier runs, in one SQLite file; several processes may share it.

    Args:
      path: path of the file, made where there is none; None keeps the verdicts in memory only.

    Raises:
      InputError: if the file is not such a cache, on opening or later.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        with self._readable():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path or ":memory:", timeout=60, isolation_level=None)
            with self._connection:
                self._make_or_check()
            write_ahead(self._connection)

    def get(self, key: bytes) -> Verdict | None:
        with self._readable():
            rows = self._connection.execute("SELECT * FROM verdicts WHERE key = ?", (key,)).fetchall()
        return next((Verdict(*row) for _, *row in checked_rows(self._path, "verdicts", rows)), None)

    def put(self, key: bytes, verdict: Verdict) -> None:
        row = (key, float(verdict.quality), verdict.extracted, verdict.reason)
        with self._readable():
            self._connection.execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?)", (*row, row_sum(*row)))

    def close(self) -> None:
        self._connection.close()

    def _make_or_check(self) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")  # another process may be making the file, too
        version = execute("PRAGMA user_version").fetchone()[0]
        tables = execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version not in (1, _SCHEMA_VERSION) and (version or tables):
            raise InputError(f"{self._path}: a SQLite file, but not a verdict cache of this version; name another file")
        columns = "key BLOB PRIMARY KEY, quality REAL, extracted TEXT, reason TEXT, sum BLOB"
        if version == 1:  # its rows have no sums, so that nothing shows whether they are what was written
            execute("DROP TABLE verdicts")
        execute(f"CREATE TABLE IF NOT EXISTS verdicts ({columns}) WITHOUT ROWID")
        execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{self._path}: cannot be used as the verdict cache ({error}); name another file"
            ) from None


def grade_all(
    grader: Grader,
    responses: Sequence[str],
    queries: Sequence[Query],
    cache: VerdictCache | None = None,
    progress: bool = True,
    seconds: float = 120.0,
    workers: int | None = None,
) -> list[Verdict]:
    """Grade each response, equal ones once; what takes too long, or ends its worker, counts as wrong.

    Args:
      grader: the grader, sent to the workers by the name of its module, or whole where it is defined in the running
        script or notebook. Its attribute `identity` (name, version, settings) names it in the cache.
      responses, queries: responses and the query of each, of equal length.
      cache: verdicts of earlier runs, to which new ones are added; all but those that hung on the clock
        or on a sandbox that did not start.
      progress: whether to show a bar.
      seconds: time for one response, after which its worker is killed.
      workers: number of processes; as many as this one may use cores unless given.
    Returns:
      Verdicts in the order of the responses.
    Raises:
      InputError: what the grader refuses; or if it cannot be sent, or has no `identity` while there is a cache.
    """
    keys = [_key(grader, response, query, cache) for response, query in zip(responses, queries, strict=True)]
    first = {key: index for index, key in reversed(list(enumerate(keys)))}
    known = {key: cache.get(key) for key in first} if cache else {}
    verdicts = {key: verdict for key, verdict in known.items() if verdict}
    items = [(key, responses[index], queries[index]) for key, index in first.items() if key not in verdicts]
    items.sort(key=lambda item: first[item[0]])
    with tqdm(total=len(first), initial=len(verdicts), desc="grading", unit="answer", disable=not progress) as bar:
        for key, verdict in _grade_items(grader, items, seconds, workers):
            verdicts[key] = verdict
            if cache and not verdict.reason.startswith(_NOT_KEPT):
                cache.put(key, verdict)
            bar.update()
    return [verdicts[key] for key in keys]


def grade_kept(grader: Grader, responses: Sequence[str], queries: Sequence[Query], path: Path) -> list[Verdict]:
    """`grade_all` with the verdicts that a file keeps, which new ones are added to."""
    with closing(VerdictCache(path)) as cache:
        return grade_all(grader, responses, queries, cache)


def _key(grader: Grader, response: str, query: Query, cache: VerdictCache | None) -> bytes:
    identity = getattr(grader, "identity", "" if cache is None else None)
    if identity is None:
        raise InputError(f"grader {grader!r} has no `identity`, by which a cache could know its verdicts")
    parts = (identity, response, query.text, query.gold)
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).digest()


Item = tuple[bytes, str, Query]


def _grade_items(
    grader: Grader, items: list[Item], seconds: float, workers: int | None
) -> Iterator[tuple[bytes, Verdict]]:
    """Verdicts as they come, from a thread for each worker process."""
    if not items:
        return
    try:
        sent = cloudpickle.dumps(grader)
    except (pickle.PicklingError, AttributeError, TypeError, ValueError) as error:
        raise InputError(f"grader {grader!r} cannot be sent to another process ({error})") from None
    waiting: SimpleQueue[Item] = SimpleQueue()
    done: SimpleQueue[tuple[bytes, Verdict] | BaseException] = SimpleQueue()
    stop = threading.Event()
    for item in items:
        waiting.put(item)
    count = min(workers or len(os.sched_getaffinity(0)), len(items))
    threads = [
        threading.Thread(target=_supervise, args=(sent, waiting, done, stop, seconds), daemon=True)
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in items:
            result = done.get()
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _supervise(sent: bytes, waiting: Any, done: Any, stop: threading.Event, seconds: float) -> None:
    """Feed one worker at a time; kill it when it is late, and start another."""
    worker: _Worker | None = None
    try:
        while not stop.is_set():
            key, response, query = waiting.get_nowait()
            worker = worker or _Worker(sent)
            answer = worker.ask((response, query), seconds, stop)
            if isinstance(answer, BaseException):
                raise answer
            if answer is None:
                worker.kill()
                late = worker.late
                worker = None
                answer = Verdict(0.0, "", OUT_OF_TIME if late else "crashed: the grader's process ended")
            done.put((key, answer))
    except Empty:
        pass
    except BaseException as error:
        done.put(error)
    finally:
        if worker:
            worker.kill()


class _Worker:
    """A process with the grader."""

    def __init__(self, sent: bytes) -> None:
        here, there = socket.socketpair()
        with there:
            command = [sys.executable, "-P", "-c", _START, str(there.fileno())]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[there.fileno()])
        self._pipe = Connection(here.detach())
        self._send([os.fspath(folder) for folder in sys.path if isinstance(folder, str)])
        self._send(sent)
        self.late = False
        ready = self._receive(_START_SECONDS, threading.Event())
        if ready is not True:
            self.kill()
            raise ready if isinstance(ready, BaseException) else InputError("a grading process did not start")

    def ask(self, task: tuple[str, Query], seconds: float, stop: threading.Event) -> Any:
        """A verdict, an exception, or None where the process is late or has ended."""
        return self._receive(seconds, stop) if self._send(task) else None

    def _send(self, value: object) -> bool:
        """Whether the process takes a value; one that has ended does not."""
        try:
            self._pipe.send(value)
        except OSError:
            return False
        return True

    def _receive(self, seconds: float, stop: threading.Event) -> Any:
        waited, step = 0.0, 0.25
        while not self._pipe.poll(step):
            waited += step
            if waited >= seconds or stop.is_set():
                self.late = True
                return None
        try:
            return self._pipe.recv()
        except (EOFError, OSError):
            return None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._pipe.close()


def serve(pipe: Connection) -> None:
    """In the worker: grade one response after another, until it is killed or nobody asks any more."""
    multiprocessing.current_process().daemon = True  # it is to start no processes of its own
    with suppress(EOFError, OSError):
        _answer(pipe)


def _answer(pipe: Connection) -> None:
    try:
        grader: Grader = pickle.loads(pipe.recv())
    except Exception as error:
        pipe.send(InputError(f"the grader cannot be loaded in another process ({error})"))
        return
    pipe.send(True)
    while True:
        response, query = pipe.recv()
        try:
            answer = _only_verdict(grader([response], [query]), query)
        except Exception as error:
            answer = error
        pipe.send(answer)


def _only_verdict(verdicts: object, query: Query) -> Verdict:
    """The verdict that a grader gave for one response.

    Raises:
      InputError: if it gave anything else, as a user's grader may.
    """
    every = list(verdicts) if isinstance(verdicts, Iterable) else []
    if len(every) == 1 and isinstance(every[0], Verdict):
        return every[0]
    raise InputError(
        f"query {query.id}: the grader must give one Verdict for each response, but gave {brief(repr(verdicts))}"
    )
