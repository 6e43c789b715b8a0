"""Write-ahead files: whole records survive a cut at any byte and a fault in the middle."""

import errno
import os

import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log.frames import MAGIC, Frame, WriteAheadFile, pack, read_frames

RECORDS = [Frame(b"D", {"n": n, "text": "ü" * n}, bytes(range(n))) for n in range(6)]


def write(path, records=RECORDS):
    file = WriteAheadFile(path)
    ends = [file.size]
    for record in records:
        file.append(pack(*record))
        ends.append(file.size)
    file.sync()
    assert file.synced == file.size == path.stat().st_size
    file.close()
    return ends


def test_records_come_back_as_they_were(tmp_path):
    write(tmp_path / "0.wal")
    assert read_frames(tmp_path / "0.wal") == (RECORDS, 0)


def test_a_file_cut_at_any_byte_holds_every_whole_record(tmp_path):
    path = tmp_path / "0.wal"
    ends = write(path)
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        frames, broken = read_frames(path)
        whole = max(sum(end <= size for end in ends) - 1, 0)
        assert frames == RECORDS[:whole]
        assert broken == (size >= ends[0] and size not in ends)


@pytest.mark.parametrize("record", range(6))
def test_a_record_that_was_changed_is_left_out_alone(tmp_path, record):
    path = tmp_path / "0.wal"
    ends = write(path)
    content = bytearray(path.read_bytes())
    content[ends[record] + 10] ^= 1
    path.write_bytes(content)
    assert read_frames(path) == (RECORDS[:record] + RECORDS[record + 1 :], 1)


def test_zeros_behind_the_last_record_are_no_records(tmp_path):
    """As a file system may leave them that had grown a file before the machine died."""
    path = tmp_path / "0.wal"
    write(path)
    path.write_bytes(path.read_bytes() + bytes(64))
    assert read_frames(path) == (RECORDS, 1)


def test_a_write_that_finds_no_room_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    file = WriteAheadFile(tmp_path / "0.wal")
    file.append(pack(*RECORDS[1]))
    whole, write_ = file.size, os.write

    def half(descriptor, content):
        if len(content) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_(descriptor, content[: len(content) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space left"):
        file.append(pack(*RECORDS[5]))
    monkeypatch.undo()
    assert file.intact
    assert (tmp_path / "0.wal").stat().st_size == whole
    file.append(pack(*RECORDS[2]))
    assert read_frames(file.path) == ([RECORDS[1], RECORDS[2]], 0)
    file.close()


def test_records_that_the_disk_does_not_confirm_are_taken_back(tmp_path, monkeypatch):
    file = WriteAheadFile(tmp_path / "0.wal")
    file.append(pack(*RECORDS[1]), sync=True)
    assert file.synced == file.size

    def failing(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="Input/output error"):
        file.append(pack(*RECORDS[2]), sync=True)
    assert file.intact
    assert read_frames(file.path) == ([RECORDS[1]], 0)
    file.close()


def test_a_file_of_something_else_and_a_value_that_is_none_are_refused(tmp_path):
    (tmp_path / "0.wal").write_bytes(MAGIC[:-1] + b"\x02")
    with pytest.raises(InputError, match=r"0\.wal: is no write-ahead file of a decision log of version 1"):
        read_frames(tmp_path / "0.wal")
    with pytest.raises(InputError, match="cannot be written as JSON"):
        pack(b"D", {"cost": float("nan")})
    with pytest.raises(InputError, match="cannot be written as JSON"):
        pack(b"D", {"cost": object()})
