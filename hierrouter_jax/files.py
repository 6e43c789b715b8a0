"""Files that are whole or absent, read only as they were written; and folders that one process at a time writes."""

import errno
import hashlib
import json
import math
import os
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.numpy import load_file

from hierrouter_jax.errors import InputError
from hierrouter_jax.sums import SUMS, check_sum, replacing


def file_name(name: str) -> str:
    """A name that any file system takes and that no other name gets: itself, where it is one already."""
    safe = re.sub(r"[^A-Za-z0-9+._-]+", "-", name)
    return name if safe == name else f"{safe[-60:].lstrip('.-')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def user_cache() -> Path:
    """Where what can be made again is kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hierrouter_jax"


def write_bytes(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON; NaN is refused, so that other languages can read it back."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
      InputError: if it is missing, no file that can be read, not what its folder's sums list, or not JSON; naming the
        field, if a number is not finite, which Python reads and `write_json` does not write.
    """
    try:
        check_sum(path)
        value = json.loads(path.read_text(encoding="utf-8"))
        for where, number in _not_finite(value, ""):
            raise InputError(f"{path}: {where or 'all of it'} is {number}, but must be a finite number")
        return value
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:  # of its syntax, its bytes, or a number of thousands of digits
        raise InputError(f"{path}: not valid JSON ({error})") from None


def _not_finite(value: Any, where: str) -> Iterator[tuple[str, float]]:
    """Numbers inside plain data that are not finite, each with the names of the fields that lead to it."""
    if isinstance(value, float) and not math.isfinite(value):
        yield where, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inside in items:
        yield from _not_finite(inside, f"{where}.{name}" if where else str(name))


def read_tensors(path: Path, *names: str) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file.

    Args:
      path: path of the file.
      names: tensors that it must hold.
    Raises:
      InputError: if it is missing, none, without one of those, or not what its folder's sums list.
    """
    try:
        check_sum(path)
        tensors = load_file(path)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: not a safetensors file ({error})") from None
    missing = [name for name in names if name not in tensors]
    if missing:
        raise InputError(f"{path}: holds no tensor {missing[0]!r}")
    return tensors


LOCK = ".writing.lock"
LEAST_FREE = 1_000_000  # bytes; with less, not even a run's configuration and log are sure to fit
_held: dict[str, tuple[int, int]] = {}  # folders of this process: the thread that writes, and how often it said so
_guard = threading.Lock()

# Operating system errors that are the place's, and no fault of the program.
_PLACE = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
    errno.ESTALE,
}
# Those that a library's own error may hide, and their words, SQLite's among them.
_NO_ROOM = {
    errno.ENOSPC: ("no space left on device", "disk is full"),
    errno.EDQUOT: ("disk quota exceeded",),
    errno.EROFS: ("read-only file system", "readonly database"),
}


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold a folder for the time inside, made where there is none; no other process, nor thread, gets it meanwhile.

    The lock is the operating system's, so that it ends with its process however that ends, and works across machines
    that share the file system. Who holds a folder may ask for it again. A folder that nothing was written into is
    removed again, if this made it.

    Raises:
      InputError: if somebody else writes there, or nobody can: read-only, full, a dangling link, too long a name.
    """
    key, me = os.path.realpath(folder), threading.get_ident()
    with _guard:
        owner, times = _held.get(key, (me, 0))
        if owner != me:
            raise InputError(f"{folder}: is being written by another thread of this process; name another folder")
        _held[key] = me, times + 1
    try:
        if times:
            yield
        else:
            with _locked(folder):
                yield
    finally:
        with _guard:
            _held[key] = me, times
            if not times:
                del _held[key]


def existing(folder: Path) -> Path | None:
    """The folder, where it is one; who is asked for another says so in words of his own."""
    return folder if folder.is_dir() else None


def holds_something(folder: Path) -> bool:
    """Whether anything lies in a folder but sums, and hidden files: the mark of who writes, what a kill left of one."""
    return any(not path.name.startswith(".") and path.name != SUMS for path in folder.iterdir())


def trouble_of_place(error: BaseException) -> str | None:
    """What is wrong with the place that a failed job wrote to, in words; None if the error is of another kind.

    Libraries wrap what the operating system says, and some keep its words alone.
    """
    if isinstance(error, OSError) and error.errno in _PLACE:
        return f"{error.filename or 'a file'}: cannot be read or written ({os.strerror(error.errno)})"
    seen: BaseException | None = error
    while seen is not None:
        for number, words in _NO_ROOM.items():
            if getattr(seen, "errno", None) == number or any(word in str(seen).lower() for word in words):
                return f"the output cannot be written ({os.strerror(number)})"
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    new_folders = _make(folder)
    lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
    try:
        _check_room(folder)
        try:
            lock.acquire()
        except Timeout:
            raise InputError(
                f"{folder}: is being written by {_holder(folder)}; wait until it ends, or name another folder"
            ) from None
        except OSError as error:
            raise _unwritable(folder, error) from None
        try:
            with suppress(OSError):
                (folder / LOCK).write_text(f"process {os.getpid()} of {socket.gethostname()}", encoding="utf-8")
            yield
        finally:
            with suppress(OSError):
                (folder / LOCK).unlink()  # while it is held, so that whoever comes next locks a file of its own
            lock.release()
    finally:
        for path in new_folders:
            with suppress(OSError):  # what holds anything stays
                path.rmdir()


def _make(folder: Path) -> list[Path]:
    """Make the folder; returns it and those above it that were not there, innermost first."""
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        if folder.is_symlink():
            raise InputError(f"{folder}: is a link to {os.readlink(folder)}, which is not there") from None
        if folder.exists():
            raise InputError(f"{folder}: is a file, but a folder is needed") from None
        raise _unwritable(folder, error) from None
    except OSError as error:
        raise _unwritable(folder, error) from None
    return missing


def _check_room(folder: Path) -> None:
    """Write what little a run's first files take: a quota or a file system may refuse what its numbers promise."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * 65_536)
            probe.flush()
    except OSError as error:
        raise _unwritable(folder, error) from None
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise InputError(f"{folder}: its disk has {free:,} bytes left; make room, or name a folder on another disk")


def _holder(folder: Path) -> str:
    try:
        return (folder / LOCK).read_text(encoding="utf-8") or "another process"
    except (OSError, UnicodeDecodeError):
        return "another process"


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(f"{folder}: cannot be written ({error.strerror or error}); name another folder")
