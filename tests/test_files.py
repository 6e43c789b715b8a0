"""One writer a folder, and places that cannot be written, found before the work."""

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from hierrouter_jax import files
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import (
    LOCK,
    existing,
    holds_something,
    read_json,
    read_tensors,
    sole_writer,
    trouble_of_place,
    user_cache,
)

HOLDS = """
import sys, time
from pathlib import Path
from hierrouter_jax.files import sole_writer
with sole_writer(Path(sys.argv[1])):
    print("holds", flush=True)
    time.sleep(60)
"""


def holder(folder: Path) -> subprocess.Popen:
    """A process that holds the folder until it is ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    return process


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_the_second_process_is_refused_until_the_first_has_ended_however(tmp_path, end):
    process = holder(tmp_path / "run")
    try:
        with (
            pytest.raises(InputError, match=rf"run: is being written by process {process.pid} of .*name another"),
            sole_writer(tmp_path / "run"),
        ):
            pytest.fail("two processes write one folder")
        link = tmp_path / "link"
        link.symlink_to(tmp_path / "run")
        with pytest.raises(InputError, match="is being written"), sole_writer(link):
            pytest.fail("a link leads around the lock")
        with sole_writer(tmp_path / "other"):
            pass
    finally:
        process.send_signal(end)
        process.wait()
    with sole_writer(tmp_path / "run"):
        pass


def test_who_holds_a_folder_may_ask_again_and_another_thread_may_not(tmp_path):
    said = []

    def ask() -> None:
        try:
            with sole_writer(tmp_path):
                said.append("held")
        except InputError as error:
            said.append(str(error))

    with sole_writer(tmp_path), sole_writer(tmp_path / "." / "inside" / ".."):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert len(said) == 1
    assert "another thread of this process" in said[0]
    ask()
    assert said[1:] == ["held"]


def test_the_lock_leaves_nothing_and_a_folder_that_stayed_empty_goes(tmp_path):
    with sole_writer(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b" / LOCK).is_file()
        assert not holds_something(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyError), sole_writer(tmp_path / "a" / "b"):
        _fail_after(tmp_path / "a" / "b" / "kept")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["kept"]
    (tmp_path / "empty").mkdir()
    with sole_writer(tmp_path / "empty"):
        pass
    assert existing(tmp_path / "empty") == tmp_path / "empty"
    assert existing(tmp_path / "none") is None


def _fail_after(file: Path) -> None:
    file.write_text("")
    assert holds_something(file.parent)
    raise KeyError(file)


def _file(place: Path) -> Path:
    (place / "file").write_text("")
    return place / "file"


def _dangling(place: Path) -> Path:
    (place / "link").symlink_to(place / "nothing" / "there")
    return place / "link"


def _circle(place: Path) -> Path:
    (place / "circle").symlink_to(place / "circle")
    return place / "circle" / "run"


UNWRITABLE = {
    "a file": (_file, "is a file, but a folder is needed"),
    "below a file": (lambda place: _file(place) / "run", "Not a directory"),
    "far below a file": (lambda place: _file(place) / "a" / "run", "Not a directory"),
    "a link to nothing": (_dangling, "is a link to .*nothing/there, which is not there"),
    "below a link to nothing": (lambda place: _dangling(place) / "run", "cannot be written|is not there"),
    "a link to itself": (_circle, "cannot be written"),
    "too long a name": (lambda place: place / ("n" * 300), "File name too long"),
    "too long a path": (lambda place: place.joinpath(*["n" * 200] * 25), "File name too long"),
    "too long a name in the middle": (lambda place: place / ("n" * 300) / "run", "File name too long"),
    "of the kernel": (lambda _: Path("/proc/run"), "cannot be written"),
    "of the kernel, a folder": (lambda _: Path("/sys/kernel"), "cannot be written"),
    "a device": (lambda _: Path("/dev/null"), "is a file, but a folder is needed"),
    "below a device": (lambda _: Path("/dev/null/run"), "Not a directory"),
}


@pytest.mark.parametrize("place", UNWRITABLE)
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path, place):
    make, words = UNWRITABLE[place]
    folder = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=words) as caught, sole_writer(folder):
        pytest.fail("the work has begun")
    assert str(folder)[:900] in str(caught.value)  # of a longer message the middle is left out
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_one_sentence(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Permission denied"), sole_writer(tmp_path):
        pass
    with pytest.raises(InputError, match="Permission denied"), sole_writer(tmp_path / "run"):
        pass


def test_a_full_disk_is_found_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=4096))
    with pytest.raises(InputError, match="4,096 bytes left"), sole_writer(tmp_path / "run"):
        pytest.fail("the work has begun")
    monkeypatch.undo()

    def full(**_: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(files.tempfile, "TemporaryFile", full)
    with (
        pytest.raises(InputError, match=r"run: cannot be written \(Disk quota exceeded\)"),
        sole_writer(tmp_path / "run"),
    ):
        pytest.fail("the work has begun")
    assert list(tmp_path.iterdir()) == []


def _from(cause: Exception, error: Exception) -> Exception:
    error.__cause__ = cause
    return error


def _while_handling(context: Exception, error: Exception) -> Exception:
    error.__context__ = context
    return error


NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/run/x")
PLACES = [
    (NO_SPACE, "/run/x: cannot be read or written (No space left on device)"),
    (OSError(errno.EROFS, "read-only"), "a file: cannot be read or written (Read-only file system)"),
    (PermissionError(errno.EACCES, "", "/run/y"), "/run/y: cannot be read or written (Permission denied)"),
    (_from(NO_SPACE, ValueError("x")), "the output cannot be written (No space left on device)"),
    (_while_handling(NO_SPACE, KeyError("x")), "the output cannot be written (No space left on device)"),
    (ValueError("Io: No space left on device (os error 28)"), "the output cannot be written (No space left on device)"),
    (sqlite3.OperationalError("database or disk is full"), "the output cannot be written (No space left on device)"),
    (sqlite3.OperationalError("attempt to write a readonly database"), "the output cannot be written (Read-only"),
    (RuntimeError("Disk quota exceeded [file]"), "the output cannot be written (Disk quota exceeded)"),
    (ValueError("a fault of the program"), None),
    (KeyError("x"), None),
    (FileNotFoundError(errno.ENOENT, "no such file", "/run/z"), None),
    (_while_handling(PermissionError(errno.EACCES, "", "/run/y"), KeyError("x")), None),
    (ConnectionError("refused"), None),
]


@pytest.mark.parametrize(("error", "words"), PLACES, ids=[f"{row}" for row in range(len(PLACES))])
def test_a_place_that_fails_on_the_way_is_told_from_faults_of_the_program(error, words):
    found = trouble_of_place(error)
    assert (found is None) if words is None else (found or "").startswith(words)


def test_a_file_of_tensors_that_is_none_is_named(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(InputError, match=r"a\.safetensors: no such file"):
        read_tensors(path)
    save_file({"a": np.arange(3)}, path)
    assert read_tensors(path, "a")["a"].tolist() == [0, 1, 2]
    with pytest.raises(InputError, match=r"a\.safetensors: holds no tensor 'b'"):
        read_tensors(path, "a", "b")
    path.write_bytes(b"half a file")
    with pytest.raises(InputError, match=r"a\.safetensors: not a safetensors file"):
        read_tensors(path)


@pytest.mark.parametrize("content", [b"{", b'"\xff"', b"[" * 100_000, b"1" * 5_000])
def test_a_json_file_that_is_none_is_named(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json: not valid JSON"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("NaN", "all of it is nan"),
        ('{"a": {"b": [1, -Infinity]}}', "a.b.1 is -inf"),
        ('[{"rate": 1e999}]', "0.rate is inf"),
    ],
)
def test_numbers_of_a_json_file_that_are_not_finite_are_named(tmp_path, content, said):
    """Python reads them, and what it read could not be written again."""
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=rf"a\.json: {said}, but must be a finite number"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("depth", [500, 900, 1000])
def test_json_of_any_depth_is_read_or_refused(tmp_path, depth):
    (tmp_path / "a.json").write_text("[" * depth + "NaN" + "]" * depth)
    with pytest.raises(InputError, match=r"a\.json: "):
        read_json(tmp_path / "a.json")


def test_an_empty_cache_folder_counts_as_none(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert user_cache() == tmp_path / ".cache" / "hierrouter_jax"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert user_cache() == tmp_path / "caches" / "hierrouter_jax"
