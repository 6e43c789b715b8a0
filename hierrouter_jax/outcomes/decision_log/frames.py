"""Records of a write-ahead file, each with its length and checksum, so that a kill at any byte leaves whole ones."""

import json
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hierrouter_jax.errors import InputError, reason_of

MAGIC = b"hrlog\0\0\1"  # its last byte is the version of this format
_HEAD = struct.Struct("<II")  # length of what follows, and its CRC-32
_KIND = struct.Struct("<cI")  # kind of the record, and the length of its JSON; the rest are raw bytes


class Frame(NamedTuple):
    """A record of a write-ahead file.

    Attributes:
      kind: one byte that says what it is a record of.
      fields: values as JSON holds them.
      blob: raw bytes beside them.
    """

    kind: bytes
    fields: dict[str, Any]
    blob: bytes


def pack(kind: bytes, fields: Mapping[str, Any], blob: bytes = b"") -> bytes:
    """The bytes of one record.

    Raises:
      InputError: if a value is not finite, or nothing that JSON holds.
    """
    try:
        text = json.dumps(fields, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except (ValueError, TypeError) as error:
        raise InputError(f"a record of the log cannot be written as JSON ({error})") from None
    content = text.encode("utf-8", "replace")  # half a surrogate pair, as a client's JSON may hold, is no text
    body = b"".join((_KIND.pack(kind, len(content)), content, blob))
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


class WriteAheadFile:
    """A file that whole records are added to, each on its way to the disk when `append` returns.

    What the operating system has been handed survives the death of the process; only `sync` makes it survive the
    machine's.

    Args:
      path: path of the file, which must not be there yet.

    Attributes:
      size: number of bytes of the file.
      synced: number of bytes that are known to have reached the disk.
      intact: whether the file ends with a whole record, so that more can be added.

    Raises:
      OSError: if it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.size, self.synced, self.intact = path, 0, 0, True
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            self.append(MAGIC)
        except OSError:
            os.close(self._descriptor)
            path.unlink()
            raise

    def append(self, content: bytes, sync: bool = False) -> None:
        """Add whole records, or none of their bytes.

        Args:
          content: bytes of the records.
          sync: whether to wait until they are on the disk.

        Raises:
          OSError: if there is no room, or the disk fails; the file is as it was.
        """
        start, left = self.size, memoryview(content)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
            if sync:
                os.fsync(self._descriptor)
        except OSError:
            self.intact = False
            os.ftruncate(self._descriptor, start)
            self.intact = True
            raise
        self.size += len(content)
        if sync:
            self.synced = self.size

    def sync(self) -> None:
        """Wait until all that was added is on the disk."""
        size = self.size
        os.fsync(self._descriptor)
        self.synced = size

    def close(self) -> None:
        os.close(self._descriptor)


def read_frames(path: Path) -> tuple[list[Frame], int]:
    """The whole records of a write-ahead file in order, and how many broken ones were left out.

    A record whose checksum fails is left out, and reading goes on behind it; a tail that holds no whole record counts
    as one.

    Raises:
      InputError: if the file is of another version, or a whole record is no JSON.
    """
    content = path.read_bytes()
    if len(content) < len(MAGIC) and MAGIC.startswith(content):
        return [], 0  # of a process that was killed before its first record
    if not content.startswith(MAGIC):
        raise InputError(f"{path}: is no write-ahead file of a decision log of version {MAGIC[-1]}")
    frames, broken, at = [], 0, len(MAGIC)
    while at < len(content):
        start = at + _HEAD.size
        length, checksum = _HEAD.unpack_from(content, at) if start <= len(content) else (len(content), 0)
        body = content[start : start + length]
        if len(body) < length or length < _KIND.size:
            return frames, broken + 1
        if zlib.crc32(body) == checksum:
            frames.append(_frame(body, path))
        else:
            broken += 1
        at = start + length
    return frames, broken


def _frame(body: bytes, path: Path) -> Frame:
    kind, size = _KIND.unpack_from(body)
    try:
        fields = json.loads(body[_KIND.size : _KIND.size + size])
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: holds a record that is no JSON ({reason_of(error)})") from None
    if not isinstance(fields, dict):
        raise InputError(f"{path}: holds a record without fields (name: value)")
    return Frame(kind, fields, body[_KIND.size + size :])
