"""A signed folder's files are refused once they differ; writers keep their lines; no kill makes a file look bad."""

import hashlib
import os
import shutil
import sqlite3
import subprocess

import numpy as np
import pytest
from safetensors.numpy import save_file

import hierrouter_jax as hr
from hierrouter_jax import sums
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json, write_json, write_text
from hierrouter_jax.sums import (
    SUMS,
    arrays_sum,
    begin_sums,
    check_sum,
    damaged,
    read_sums,
    remove,
    replacing,
    sign,
    write_ahead,
)


@pytest.fixture
def signed(tmp_path):
    """A signed folder of two files, one of them two levels down."""
    begin_sums(tmp_path)
    write_json(tmp_path / "a.json", {"price": 1})
    write_text(tmp_path / "deep" / "er" / "b.txt", "b")
    return tmp_path


def test_what_is_written_has_its_line(signed):
    digest = hashlib.sha256(b"b").hexdigest()
    assert set(read_sums(signed)) == {"a.json", "deep/er/b.txt"}
    assert read_sums(signed)["deep/er/b.txt"] == digest
    assert damaged(signed) == []


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is missing")
def test_sha256sum_reads_it(signed):
    assert subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=signed, capture_output=True).returncode == 0
    (signed / "a.json").write_text("{}")
    assert subprocess.run(["sha256sum", "--check", SUMS], cwd=signed, capture_output=True).returncode == 1


def test_an_edited_file_is_refused_until_it_is_signed_again(signed):
    (signed / "a.json").write_text('{"price": 2}')
    with pytest.raises(InputError, match=r"a\.json: is not the file .* hierrouter sign"):
        read_json(signed / "a.json")
    assert damaged(signed) == [f"{signed / 'a.json'}: is not the file that {signed / SUMS} lists"]
    assert sign(signed) == ["a.json", "deep/er/b.txt"]
    assert read_json(signed / "a.json") == {"price": 2}


def test_a_file_without_a_line_and_a_folder_without_sums_pass(tmp_path, signed):
    (signed / "new.json").write_text("1")
    assert read_json(signed / "new.json") == 1
    sums.drop_sums(signed)
    (signed / "a.json").write_text("3")
    assert read_json(signed / "a.json") == 3
    with pytest.raises(InputError, match=r"has no hierrouter\.sha256"):
        damaged(signed)


def test_a_kill_between_the_line_and_the_file_leaves_a_file_that_is_read(signed, monkeypatch):
    """The line goes before the file changes and comes after it: neither the old nor the new file is ever refused."""
    for kill_at in (1, 2):
        calls, whole = [], sums._write

        def write(folder, lines, calls=calls, whole=whole, kill_at=kill_at):
            calls.append(lines)
            if len(calls) == kill_at:
                raise KeyboardInterrupt
            whole(folder, lines)

        before = read_json(signed / "a.json")
        with monkeypatch.context() as patch:
            patch.setattr(sums, "_write", write)
            with pytest.raises(KeyboardInterrupt):
                write_json(signed / "a.json", {"price": 10 + kill_at})
        assert read_json(signed / "a.json") == (before if kill_at == 1 else {"price": 12})


@pytest.mark.parametrize(
    "line", ["x", "0" * 63 + "  a.json", "0" * 64 + " a.json", "A" * 64 + "  a.json", "0" * 64 + "  "]
)
def test_a_line_that_is_none_is_named(signed, line):
    (signed / SUMS).write_text(f"{line}\n")
    with pytest.raises(InputError, match=r"hierrouter\.sha256: line 1 is no SHA-256"):
        check_sum(signed / "a.json")


def test_sums_that_end_early_are_refused(signed):
    whole = (signed / SUMS).read_text()
    (signed / SUMS).write_text(whole[:-1])
    with pytest.raises(InputError, match="line 2 is no SHA-256"):
        check_sum(signed / "a.json")


def test_hidden_files_cards_caches_studies_and_steps_have_no_line(signed):
    unsigned = (".writing.lock", "README.md", "calls.sqlite", "optuna.db", "steps/100/_CHECKPOINT_METADATA", "w/1.wal")
    for name in unsigned:
        write_text(signed / name, "x")
    assert "README.md" not in read_sums(signed)
    assert sign(signed) == ["a.json", "deep/er/b.txt"]


def test_a_folder_inside_that_is_signed_keeps_its_own_sums(signed):
    begin_sums(signed / "policy")
    write_json(signed / "policy" / "policy.json", 1)
    assert "policy/policy.json" not in read_sums(signed)
    (signed / "policy" / "policy.json").write_text("2")
    assert len(damaged(signed)) == 1
    assert sign(signed) == ["a.json", "deep/er/b.txt", "policy/policy.json"]
    assert damaged(signed) == []


def test_a_folder_two_levels_down_is_signed_once(signed):
    for folder in (signed / "sweep", signed / "sweep" / "policy"):
        begin_sums(folder)
        write_json(folder / "policy.json", 1)
    assert sign(signed) == ["a.json", "deep/er/b.txt", "sweep/policy.json", "sweep/policy/policy.json"]


def test_a_removed_file_loses_its_line_and_a_lost_one_is_named(signed):
    (signed / "a.json").unlink()
    assert damaged(signed) == [f"{signed / 'a.json'}: is missing"]
    remove(signed / "a.json")
    assert damaged(signed) == []


def test_a_reader_beside_a_writer_never_sees_a_fault(signed, monkeypatch):
    """The writer changes line and file between the reader's look at the one and at the other."""
    path, of = signed / "a.json", sums.file_sum

    def meanwhile(read):
        monkeypatch.setattr(sums, "file_sum", of)
        write_json(path, {"price": 7})
        return of(read)

    monkeypatch.setattr(sums, "file_sum", meanwhile)
    assert read_json(path) == {"price": 7}


def test_arrays_of_other_names_types_shapes_or_values_have_another_sum():
    arrays = {"a": np.arange(4, dtype=np.int32)}
    others = [
        {"b": arrays["a"]},
        {"a": arrays["a"].astype(np.uint32)},
        {"a": arrays["a"].reshape(2, 2)},
        {"a": arrays["a"] + 1},
        {},
        arrays | {"b": np.zeros(0)},
    ]
    assert arrays_sum(arrays).shape == (32,)
    assert (arrays_sum(arrays) == arrays_sum({"a": arrays["a"].copy()})).all()
    assert all((arrays_sum(arrays) != arrays_sum(other)).any() for other in others)


def test_a_database_that_stays_busy_or_is_none_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(sums, "_BUSY_SECONDS", 0.05)
    with sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None) as one:
        one.execute("CREATE TABLE rows (key TEXT)")
        one.execute("BEGIN IMMEDIATE")
        other = sqlite3.connect(tmp_path / "a.sqlite", timeout=60)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            write_ahead(other)
        one.execute("COMMIT")
        write_ahead(other)
    (tmp_path / "text").write_text("no database, whatever its name may say" * 9)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        write_ahead(sqlite3.connect(tmp_path / "text"))


@pytest.fixture
def umask():
    """Sets the mask of what is taken away from the permissions of new files; it is as it was afterwards."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o027, 0o640), (0o022, 0o644)])
def test_who_may_read_a_file_is_as_the_umask_says_whoever_writes_it(signed, umask, mask, mode):
    """Over a file that everybody may read, too."""
    umask(mask)
    write_json(signed / "a.json", {"price": 2})
    with replacing(signed / "b.safetensors") as temporary:
        save_file({"b": np.arange(3)}, temporary)
    for name in ("a.json", "b.safetensors", SUMS):
        assert (signed / name).stat().st_mode & 0o777 == mode, name
    assert not [path.name for path in signed.iterdir() if path.name.startswith(".")]


def test_a_file_that_is_not_whole_is_hidden_beside_its_place(tmp_path):
    """Whoever looks for what a kill left finds it by the beginning of its name; writers choose a form by the end."""
    with replacing(tmp_path / "part-1.parquet") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.match(".part-1.parquet.????????.parquet")
    longest = 255 - len("..????????")
    write_text(tmp_path / ("n" * longest), "x")
    with pytest.raises(OSError, match="File name too long"):
        write_text(tmp_path / ("n" * (longest + 1)), "x")


def test_a_folder_is_named_by_text_as_well_and_one_that_is_not_there_is_refused(signed):
    assert hr.sign(str(signed)) == ["a.json", "deep/er/b.txt"]
    assert damaged(str(signed)) == []
    for refuses in (hr.sign, damaged):
        with pytest.raises(InputError, match=r"none: is no folder; name that of a table"):
            refuses(signed / "none")
