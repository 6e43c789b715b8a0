"""The writer of a decision log: appends in microseconds, survives kills and full disks, rotates, forgets, drops."""

import logging
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from hierrouter_jax.domains import COUNT, NONNEGATIVE, POSITIVE, SHARE, Domains, check_domains, check_values
from hierrouter_jax.errors import InputError, reason_of
from hierrouter_jax.files import sole_writer
from hierrouter_jax.outcomes.decision_log.folder import LogCounts, LogFolder
from hierrouter_jax.outcomes.decision_log.frames import WriteAheadFile, read_frames
from hierrouter_jax.outcomes.decision_log.parts import write_part
from hierrouter_jax.outcomes.decision_log.record import Decision, decision_frame, feedback_frame, tables_of
from hierrouter_jax.sums import remove

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LogOptions:
    """How a decision log is kept.

    Attributes:
      text: whether questions and responses are kept.
      rotate_bytes: size in bytes at which the write-ahead file becomes a Parquet part.
      rotate_seconds: age in seconds at which it does.
      max_bytes: largest size of the folder in bytes, at least twice `rotate_bytes`; the oldest parts are dropped
        beyond it. None sets no limit.
      fsync_seconds: longest time in seconds until a record has reached the disk itself, and so survives the machine's
        death as well as the process's. 0 waits for the disk at every append (milliseconds each); None leaves it to
        the operating system.
    """

    DOMAINS: ClassVar[Domains] = {
        "rotate_bytes": COUNT,
        "rotate_seconds": POSITIVE,
        "max_bytes": COUNT,
        "fsync_seconds": NONNEGATIVE,
    }

    text: bool = False
    rotate_bytes: int = 8_000_000
    rotate_seconds: float = 600.0
    max_bytes: int | None = 4_000_000_000
    fsync_seconds: float | None = 1.0

    def __post_init__(self) -> None:
        check_domains(self)
        if self.max_bytes is not None and self.max_bytes < 2 * self.rotate_bytes:
            raise InputError(
                f"max_bytes is {self.max_bytes}, but must be at least twice rotate_bytes, which is {self.rotate_bytes}"
            )


class LogWriter:
    """The only writer of a decision log's folder; its methods may be called from any thread.

    A thread of its own claims the folder, turns write-ahead files into Parquet parts, those that a killed process left
    among them, and waits for the disk.

    Args:
      folder: folder of the log, made where there is none.
      options: how the log is kept.

    Raises:
      InputError: if somebody else writes there, or nobody can.
    """

    def __init__(self, folder: Path | str, options: LogOptions = LogOptions()) -> None:
        self.folder, self.options = LogFolder(Path(folder)), options
        self._counts, self._counts_there = LogCounts(), LogCounts()
        self._file: WriteAheadFile | None = None
        self._ended: list[WriteAheadFile] = []
        self._next, self._opened = 0, 0.0
        self._appending = threading.Lock()  # the write-ahead file and the counts; held for microseconds
        self._tidying = threading.Lock()  # every other file of the folder; held as long as rewriting takes
        self._wake, self._closed = threading.Event(), False
        self._claimed: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="decision-log", daemon=True)
        self._thread.start()
        self._claimed.result()

    def append(self, *decisions: Decision) -> bool:
        """Keep decisions by one write; False where the disk takes none of them, which are then counted as lost."""
        return self._write(b"".join(decision_frame(one, self.options.text) for one in decisions), len(decisions))

    def add_feedback(self, episode_id: str, quality: float, at: float | None = None) -> bool:
        """Keep the quality of an episode's answer; where there are several, readers take the latest.

        Args:
          episode_id: id of an episode of this log.
          quality: score in [0, 1].
          at: time of the feedback in seconds since 1970 (UTC); now by default.

        Returns:
          Whether the disk took it.

        Raises:
          InputError: if the quality is no number in [0, 1].
        """
        check_values({"quality": quality}, {"quality": SHARE})
        return self._write(feedback_frame(episode_id, quality, time.time() if at is None else at), 1)

    def forget(self, episode_id: str) -> int:
        """Take every record of an episode off the disk; each file is replaced at once.

        A write-ahead file that cannot be read is set aside whole, as `N.wal.unreadable`: what it holds stays there.

        Returns:
          How many decisions there were.

        Raises:
          OSError: if the disk has no room to rewrite a file; what is rewritten already stays so.
          InputError: naming the part that cannot be read, which may hold some of the records.
        """
        with self._tidying:
            with self._appending:
                self._end()
            self._convert()
            forgotten = sum(_without(path, episode_id) for path in self.folder.decisions.values())
            for path in self.folder.feedback.values():
                _without(path, episode_id)
            self._count(forgotten=forgotten)
        return forgotten

    @property
    def counts(self) -> LogCounts:
        """What the folder's log does not hold, since it was made."""
        with self._appending:
            return replace(self._counts)

    def close(self) -> None:
        """Turn what is left into a part, and give the folder back; nothing may be appended any more."""
        self._closed = True
        self._wake.set()
        self._thread.join()

    def __enter__(self) -> "LogWriter":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _write(self, content: bytes, records: int) -> bool:
        with self._appending:
            if self._closed:
                raise ValueError("the decision log is closed")
            try:
                if self._file is None:
                    self._file = WriteAheadFile(self.folder.write_ahead_path(self._next))
                    self._next, self._opened = self._next + 1, time.monotonic()
                self._file.append(content, sync=self.options.fsync_seconds == 0)
            except OSError:
                self._counts.lost += records
                if self._file is not None and not self._file.intact:
                    self._end()
                return False
            if self._file.size >= self.options.rotate_bytes:
                self._end()
                self._wake.set()
        return True

    def _end(self) -> None:
        """End the write-ahead file, the next append begins another; under the lock of appending."""
        if self._file is not None:
            self._ended.append(self._file)
            self._file = None

    def _run(self) -> None:
        try:
            with sole_writer(self.folder.path):
                self.folder.make()
                self._counts, self._counts_there = self.folder.read_counts(), self.folder.read_counts()
                self._next = self.folder.next_number()
                self._tend()
                self._claimed.set_result(None)
                while not self._closed:
                    self._wake.wait(self.options.fsync_seconds or 1.0)
                    self._wake.clear()
                    self._tend()
                with self._appending:  # whoever appends meanwhile
                    pass
                self._tend(everything=True)
        except BaseException as error:
            if self._claimed.done():
                raise
            self._claimed.set_exception(error)

    def _tend(self, everything: bool = False) -> None:
        """Rotate, convert, drop and sync what is due; where the disk is full, the next time tries again."""
        with self._tidying:
            try:
                file = self._file
                if everything or time.monotonic() - self._opened >= self.options.rotate_seconds:
                    with self._appending:
                        self._end()
                elif file is not None and self.options.fsync_seconds is not None and file.synced < file.size:
                    file.sync()
                self._convert()
                self._drop_oldest()
                if self.counts != self._counts_there:
                    self._count()
            except (OSError, pa.ArrowException, InputError) as error:
                _logger.warning("%s: cannot be tidied now (%s); it is tried again", self.folder.path, str(error))

    def _convert(self) -> None:
        """Turn ended write-ahead files into parts. The removal of each, which comes last, is the decision: as long as
        it is there, readers leave out parts of its number. One that cannot be read is set aside, or no later one would
        ever become a part."""
        with self._appending:
            ended, self._ended = self._ended, []
            first = self._next - (self._file is not None)  # a file that an append begins now has a higher number
        for file in ended:
            file.close()
        for number, path in self.folder.write_ahead.items():
            if number >= first:
                break
            try:
                frames, broken = read_frames(path)
                decisions, feedback = tables_of(frames)
            except InputError as error:
                aside = path.rename(self.folder.unreadable_path(number))
                reason = str(error).removeprefix(f"{path}: ")
                _logger.warning("%s: cannot be read (%s); it is set aside as %s", path, reason, aside.name)
                self._count(broken=1)
                continue
            for part, rows in (
                (self.folder.decisions_path(number), decisions),
                (self.folder.feedback_path(number), feedback),
            ):
                if rows.num_rows:
                    write_part(part, rows)
                else:
                    remove(part)
            self._count(broken=broken)
            path.unlink()

    def _drop_oldest(self) -> None:
        limit = self.options.max_bytes
        if limit is None:
            return
        left = self.folder.size()
        for number in self.folder.part_numbers():
            if left <= limit:
                break
            paths = [self.folder.decisions_path(number), self.folder.feedback_path(number)]
            here = [path for path in paths if path.exists()]
            left -= sum(path.stat().st_size for path in here)
            rows, broken = 0, 0
            if paths[0] in here:
                try:
                    rows = pq.read_metadata(paths[0]).num_rows
                except pa.ArrowException:  # it takes room all the same
                    broken = 1
            for path in here:
                remove(path)
            self._count(expired=rows, broken=broken)

    def _count(self, **more: int) -> None:
        """Add to the counts, and keep them on the disk, where it takes them."""
        with self._appending:
            for name, number in more.items():
                setattr(self._counts, name, getattr(self._counts, name) + number)
        counts = self.counts
        with suppress(OSError):
            self.folder.write_counts(counts)
            self._counts_there = counts


def _without(path: Path, episode_id: str) -> int:
    """Take an episode's rows out of a part; returns how many there were."""
    try:
        others = pq.ParquetFile(path).read(columns=["episode_id"])["episode_id"].to_numpy() != episode_id
        left = pq.ParquetFile(path).read().filter(pa.array(others)) if 0 < others.sum() < len(others) else None
    except pa.ArrowException as error:
        raise InputError(f"{path}: not a Parquet file ({reason_of(error)})") from None
    if others.all():
        return 0
    if left is not None:
        write_part(path, left)
    else:
        remove(path)
    return int((~others).sum())
