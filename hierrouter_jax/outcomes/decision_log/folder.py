"""The files of a decision log: Parquet parts and write-ahead files, numbered in the order in which they began."""

import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from hierrouter_jax.config import from_dict
from hierrouter_jax.files import read_json, write_json
from hierrouter_jax.sums import begin_sums

_NAME = re.compile(r"(?:part-)?(\d{8,})\.(?:parquet|wal)")
_UNREADABLE = re.compile(r"(\d{8,})\.wal\.unreadable")
_DECISIONS, _FEEDBACK, _WRITE_AHEAD, _COUNTS = "decisions", "feedback", "write-ahead", "counts.json"


@dataclass
class LogCounts:
    """What a decision log does not hold.

    Attributes:
      lost: number of records that could not be written, as the disk was full.
      expired: number of decisions that were dropped with the oldest parts, to keep the size limit.
      broken: number of records that a kill left half written; a write-ahead file that cannot be read counts as one.
      forgotten: number of decisions of episodes that were to be forgotten.
    """

    lost: int = 0
    expired: int = 0
    broken: int = 0
    forgotten: int = 0


@dataclass(frozen=True)
class LogFolder:
    """Where the files of a decision log lie: `decisions/`, `feedback/`, `write-ahead/` and `counts.json`.

    A part has the number of the write-ahead file that it was made of. While both are there, the part may be half of a
    conversion that a kill ended, and the write-ahead file counts.

    Attributes:
      path: path of the folder.
    """

    path: Path

    def make(self) -> None:
        """Make the folders, and remove the files that a kill left half written under other names."""
        for room in (_DECISIONS, _FEEDBACK, _WRITE_AHEAD):
            (self.path / room).mkdir(exist_ok=True)
            for left in (self.path / room).glob(".part-*"):
                left.unlink()
        with suppress(OSError):  # without room the log is kept all the same, unsigned
            begin_sums(self.path)

    @property
    def exists(self) -> bool:
        return (self.path / _DECISIONS).is_dir() and (self.path / _WRITE_AHEAD).is_dir()

    @property
    def decisions(self) -> dict[int, Path]:
        """Parts of decisions by number, in order."""
        return _numbered(self.path / _DECISIONS)

    @property
    def feedback(self) -> dict[int, Path]:
        """Parts of feedback by number, in order."""
        return _numbered(self.path / _FEEDBACK)

    @property
    def write_ahead(self) -> dict[int, Path]:
        """Write-ahead files by number, in order."""
        return _numbered(self.path / _WRITE_AHEAD)

    @property
    def unreadable(self) -> dict[int, Path]:
        """Write-ahead files that could not be read and were set aside, by number, in order."""
        return _numbered(self.path / _WRITE_AHEAD, _UNREADABLE)

    def decisions_path(self, number: int) -> Path:
        return self.path / _DECISIONS / f"part-{number:08d}.parquet"

    def feedback_path(self, number: int) -> Path:
        return self.path / _FEEDBACK / f"part-{number:08d}.parquet"

    def write_ahead_path(self, number: int) -> Path:
        return self.path / _WRITE_AHEAD / f"{number:08d}.wal"

    def unreadable_path(self, number: int) -> Path:
        return self.path / _WRITE_AHEAD / f"{number:08d}.wal.unreadable"

    def part_numbers(self) -> list[int]:
        """Numbers of all parts, the oldest first."""
        return sorted({*self.decisions, *self.feedback})

    def next_number(self) -> int:
        """A number that no file has."""
        return 1 + max([-1, *self.part_numbers(), *self.write_ahead, *self.unreadable])

    def size(self) -> int:
        """Bytes of all parts and write-ahead files."""
        paths = [*self.decisions.values(), *self.feedback.values(), *self.write_ahead.values()]
        return sum(path.stat().st_size for path in paths)

    def read_counts(self) -> LogCounts:
        """What the log does not hold; all 0 where nothing is written about it.

        Raises:
          InputError: if the file of counts is none.
        """
        path = self.path / _COUNTS
        return from_dict(LogCounts, read_json(path), path) if path.exists() else LogCounts()

    def write_counts(self, counts: LogCounts) -> None:
        write_json(self.path / _COUNTS, asdict(counts))


def _numbered(folder: Path, pattern: re.Pattern[str] = _NAME) -> dict[int, Path]:
    paths = list(folder.iterdir()) if folder.is_dir() else []
    named = {int(match[1]): path for path in paths if (match := pattern.fullmatch(path.name))}
    return dict(sorted(named.items()))
