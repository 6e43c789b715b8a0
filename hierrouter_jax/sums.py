"""SHA-256 of the files of a folder, in a file beside them that `sha256sum -c` reads, so that a damaged one is refused.

A folder is signed when it holds `hierrouter.sha256`. Whoever writes a file in it through `replacing` keeps its
line up to date, and whoever reads one checks it. A file without a line is taken as it is: it is of an earlier
version, or a kill came before its line. So a kill never makes a whole file look damaged.
"""

import hashlib
import os
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from hierrouter_jax.errors import InputError

SUMS = "hierrouter.sha256"
STEP_MARK = "_CHECKPOINT_METADATA"  # lies in every step of Orbax, whose arrays carry a digest of their own
_LEVELS = 3  # folders above a file in which its line may lie
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
# Have checksums of their own, or change all the time; `.db` is the study of an Optuna search.
_UNSIGNED = (".sqlite", ".sqlite-wal", ".sqlite-shm", ".wal", ".db")
_BUSY_SECONDS = 60.0
_guard = threading.RLock()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path`, on failure it is removed.

    Who may read the file is left to the umask. In a signed folder the file's line is kept right.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{path.suffix}")
    temporary.touch(exist_ok=False)
    mode = temporary.stat().st_mode & 0o777
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.chmod(mode)  # safetensors makes the file anew, for its owner alone
        with _recorded(path, temporary):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_sum(path: Path) -> None:
    """Refuse a file that is not what the sums of its folder list; one that they do not list, or without sums, passes.

    Raises:
      InputError: naming the file, and how to sign it where the change was meant.
    """
    folder = signed_folder(path)
    if folder is None:
        return
    name, lines = path.relative_to(folder).as_posix(), None
    while (now := read_sums(folder)) != lines:  # a writer drops the line before it changes the file
        lines = now
        if name not in lines or not path.is_file() or file_sum(path) == lines[name]:
            return
    raise InputError(
        f"{path}: is not the file that {folder / SUMS} lists: it was changed or damaged after it was written; put the "
        f"original back, or, if the change is meant, sign it: hierrouter sign {folder}"
    )


def sign(folder: Path | str) -> list[str]:
    """Write the sums of all files of a folder that readers load; folders in it with sums of their own are signed, too.

    Model cards (`README.md`), caches of calls, write-ahead files, hidden files and the steps of checkpoints have no
    line: nobody reads values from the first, and the others carry checksums of their own.

    Returns:
      Names of the files that have a line now, in the folder and in those folders, sorted.
    Raises:
      InputError: if there is no such folder.
    """
    folder = _existing(folder)
    names = []
    for one in sorted({folder, *(path.parent for path in folder.rglob(SUMS))}):
        inside = _files(one)
        lines = {path.relative_to(one).as_posix(): file_sum(path) for path in inside}
        with _guard:
            _write(one, lines)
        names += [path.relative_to(folder).as_posix() for path in inside]
    return sorted(names)


def begin_sums(folder: Path) -> None:
    """Sign what is written into a folder from now on; lines that are there stay."""
    if not (folder / SUMS).is_file():
        with _guard:
            _write(folder, {})


def begin_anew(header: Path, others: Iterable[str] = ()) -> None:
    """Take away the file without which nobody reads a folder, and begin its sums anew: a kill leaves no mixture.

    Args:
      header: path of that file.
      others: names of files beside it that belong to what it described, and go with it.
    """
    for path in (header, *(header.parent / name for name in others)):
        path.unlink(missing_ok=True)
    with _guard:
        _write(header.parent, {})


def drop_sums(folder: Path) -> None:
    """Take a folder's sums away, before several of its files change together."""
    with _guard:
        (folder / SUMS).unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a file, where it is there, and its line."""
    folder = signed_folder(path)
    if folder is not None:
        name = path.relative_to(folder).as_posix()
        with _guard:
            lines = read_sums(folder)
            if lines.pop(name, None):
                _write(folder, lines)
    path.unlink(missing_ok=True)


def damaged(folder: Path | str) -> list[str]:
    """One sentence for each file that the sums of a folder, or of one in it, list otherwise or that is gone.

    Raises:
      InputError: if there is no such folder, it has no sums, or they cannot be read.
    """
    folder = _existing(folder)
    if not (folder / SUMS).is_file():
        raise InputError(f"{folder}: has no {SUMS}, so that nothing can be checked; sign it: hierrouter sign {folder}")
    faults = []
    for one in sorted({folder, *(path.parent for path in folder.rglob(SUMS))}):
        for name, digest in read_sums(one).items():
            path = one / name
            if not path.is_file():
                faults.append(f"{path}: is missing")
            elif file_sum(path) != digest:
                faults.append(f"{path}: is not the file that {one / SUMS} lists")
    return faults


def signed_folder(path: Path) -> Path | None:
    """The signed folder that a file's line lies in, if it has one; a hidden file never has."""
    parents = path.parents[:_LEVELS]
    folder = next((one for one in parents if (one / SUMS).is_file()), None)
    if folder is None or not _has_line(path.relative_to(folder)):
        return None
    return folder


def read_sums(folder: Path) -> dict[str, str]:
    """The digests that a folder's sums list, by name; none where it has none.

    Raises:
      InputError: naming the line that is none.
    """
    path = folder / SUMS
    try:
        lines = path.read_bytes().decode().split("\n")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    matches = [_LINE.fullmatch(line) for line in lines[:-1]]
    if None in matches or lines[-1]:
        at = matches.index(None) + 1 if None in matches else len(lines)
        raise InputError(f"{path}: line {at} is no SHA-256 and name of a file; sign anew: hierrouter sign {folder}")
    return {match[2]: match[1] for match in matches if match}


def file_sum(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@contextmanager
def _recorded(path: Path, content: Path) -> Iterator[None]:
    """Keep the line of `path` right while `content` takes its place inside: dropped before, written anew after.

    Nothing happens where `path` lies in no signed folder.
    """
    folder = signed_folder(path)
    if folder is None:
        yield
        return
    name, digest = path.relative_to(folder).as_posix(), file_sum(content)
    with _guard:
        lines = read_sums(folder)
        if lines.get(name, digest) != digest:
            _write(folder, {other: line for other, line in lines.items() if other != name})
        yield
        if lines.get(name) != digest:
            _write(folder, lines | {name: digest})


def arrays_sum(arrays: Mapping[str, np.ndarray]) -> UInt8[np.ndarray, "32"]:
    """SHA-256 of named arrays: names, types, shapes and values, whatever file they lie in."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        whole = np.ascontiguousarray(array)
        digest.update(f"{name} {whole.dtype.str} {np.shape(array)}\n".encode() + whole.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)


def row_sum(*values: object) -> bytes:
    """The first 16 bytes of the SHA-256 of a row of a database: numbers, texts, bytes and None, in order."""
    return hashlib.sha256(repr(values).encode("utf-8", "surrogatepass")).digest()[:16]


def checked_rows(path: Path | None, table: str, rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """Rows of a database whose last value is the `row_sum` of the others, which are yielded; the first is the key.

    SQLite's own check sees broken pages and order alone: a changed text or number passes it.

    Raises:
      InputError: naming the file and how to take out the row that is not what was written.
    """
    for *values, digest in rows:
        if row_sum(*values) != digest:
            key = f"x'{values[0].hex()}'" if isinstance(values[0], bytes) else repr(values[0])
            raise InputError(
                f"{path}: a row of {table} is not what was written: the file was changed or damaged; put a copy back, "
                f'or take the row out, to be made again: sqlite3 {path} "DELETE FROM {table} WHERE key = {key}"'
            )
        yield values


def write_ahead(connection: sqlite3.Connection) -> None:
    """Let a database be read while it is written; its file keeps this.

    Whatever the connection's timeout, SQLite refuses this at once where another process is making the file, so that
    it is tried for a minute.

    Raises:
      sqlite3.OperationalError: if the file is busy all that time, or cannot be used.
    """
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.01)


def _existing(folder: Path | str) -> Path:
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; name that of a table, a policy, a run, a sweep or a log")
    return folder


def _has_line(name: Path) -> bool:
    hidden = any(part.startswith(".") for part in name.parts)
    rewriting = any(".next" in part for part in name.parts)  # of a table whose nodes are being replaced
    return not hidden and not rewriting and name.name not in ("README.md", SUMS) and name.suffix not in _UNSIGNED


def _files(folder: Path) -> list[Path]:
    """Files that are to have a line, those of folders that are signed by themselves left out."""
    inside: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            apart = any((path / mark).is_file() for mark in (SUMS, STEP_MARK))
            inside += [] if apart or not _has_line(Path(path.name)) else _files(path)
        elif path.is_file() and _has_line(Path(path.name)):
            inside.append(path)
    return inside


def _write(folder: Path, lines: dict[str, str]) -> None:
    with replacing(folder / SUMS) as temporary:
        temporary.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(lines.items())), "utf-8")
