"""The writer: what was appended is there after kills, full disks and rotations; what is to be forgotten is not."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log import LogCounts, LogOptions, LogWriter, read_log
from hierrouter_jax.outcomes.decision_log.folder import LogFolder
from tests.import_graph import ROOT
from tests.outcomes.decision_log.served import decision, ids

EXTENDED_KILLS, KILLS, THREADS = int(os.environ.get("HIERROUTER_KILLS", "20")), 5, 4
SMALL = LogOptions(rotate_bytes=2_000)


def wait_until(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_what_is_appended_can_be_read_at_once_and_after_the_end(tmp_path):
    with LogWriter(tmp_path / "log") as writer:
        assert writer.append(decision("a"), decision("a", 1, end="stop", action=0))
        assert ids(read_log(tmp_path / "log")) == ["a", "a"]
        assert writer.append(decision("b"))
        assert ids(read_log(tmp_path / "log")) == ["a", "a", "b"]
    log = read_log(tmp_path / "log")
    assert ids(log) == ["a", "a", "b"]
    assert log.counts == LogCounts()
    assert [path.name for path in LogFolder(tmp_path / "log").decisions.values()] == ["part-00000000.parquet"]
    assert not LogFolder(tmp_path / "log").write_ahead


def test_text_is_kept_only_where_it_is_asked_for(tmp_path):
    asked = decision("a", question="What is secret?", response="This is.")
    for name, text in (("plain", False), ("text", True)):
        with LogWriter(tmp_path / name, LogOptions(text=text)) as writer:
            writer.append(asked)
            (write_ahead,) = LogFolder(tmp_path / name).write_ahead.values()
            assert (b"secret" in write_ahead.read_bytes()) == text
    assert read_log(tmp_path / "plain").rows["question"].to_pylist() == [None]
    assert read_log(tmp_path / "text").rows["response"].to_pylist() == ["This is."]


def test_text_that_no_file_can_hold_and_numbers_that_are_none_do_no_harm(tmp_path):
    with LogWriter(tmp_path, LogOptions(text=True)) as writer:
        assert writer.append(decision("a", question="half a pair \ud83d, and a whole one \U0001f600"))
        with pytest.raises(InputError, match="the embedding of episode 'b' holds a number that is not finite"):
            writer.append(decision("b", embedding=np.array([1.0, np.nan])))
        with pytest.raises(InputError, match="cannot be written as JSON"):
            writer.append(decision("c", cost=float("inf")))
    assert read_log(tmp_path).rows["question"].to_pylist() == ["half a pair ?, and a whole one \U0001f600"]


def test_threads_append_side_by_side_while_files_become_parts(tmp_path):
    with LogWriter(tmp_path, SMALL) as writer:

        def work(thread):
            for number in range(100):
                assert writer.append(decision(f"{thread}-{number}"))

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            read_log(tmp_path)  # in the middle of it
        for thread in threads:
            thread.join()
    log = read_log(tmp_path)
    assert sorted(ids(log)) == sorted(f"{thread}-{number}" for thread in range(4) for number in range(100))
    assert len(LogFolder(tmp_path).decisions) > 1


def test_an_old_file_becomes_a_part_though_it_is_small(tmp_path):
    with LogWriter(tmp_path, LogOptions(rotate_seconds=0.05, fsync_seconds=0.02)) as writer:
        writer.append(decision())
        wait_until(lambda: LogFolder(tmp_path).decisions)
        assert ids(read_log(tmp_path)) == ["one"]


def test_a_second_writer_is_refused_from_this_thread_and_from_another_process(tmp_path):
    with LogWriter(tmp_path) as writer:
        with pytest.raises(InputError, match="is being written by another thread of this process"):
            LogWriter(tmp_path)
        code = f"from hierrouter_jax.outcomes.decision_log import LogWriter; LogWriter({str(tmp_path)!r})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
        assert f"is being written by process {os.getpid()}" in done.stderr
        assert writer.append(decision())
    with LogWriter(tmp_path):
        pass
    with pytest.raises(ValueError, match="the decision log is closed"):
        writer.append(decision("two"))


def kill_writers(folder, kills):
    """Kill a process that logs at a random moment, again and again, and check the log each time."""
    rng, acknowledged = np.random.default_rng(0), set()
    for life in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.outcomes.decision_log.kill_chain", str(folder), str(life), str(THREADS)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        killer = threading.Timer(float(rng.uniform(0.01, 0.25)), process.send_signal, (signal.SIGKILL,))
        killer.start()
        lines += process.stdout.readlines()
        assert process.wait() == -signal.SIGKILL
        acknowledged |= {line.strip() for line in lines if line.endswith("\n")}
        log = read_log(folder)
        found = Counter(ids(log))
        assert acknowledged <= set(found)
        assert all(number == 2 for name, number in found.items() if name in acknowledged)
        surplus = [name for name in found if name not in acknowledged and name.startswith(f"{life}-")]
        assert len(surplus) <= THREADS  # kept, but killed before they could say so
        acknowledged |= {name for name, number in found.items() if number == 2}
        assert log.counts.broken <= (life + 1)
    return len(acknowledged)


def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path):
    assert kill_writers(tmp_path / "log", KILLS) > 5 * KILLS  # on a busy machine too
    with LogWriter(tmp_path / "log"):
        pass
    folder = LogFolder(tmp_path / "log")
    assert not folder.write_ahead  # the next writer makes parts of what was left
    assert read_log(folder.path)


@pytest.mark.extended
def test_many_killed_writers_lose_nothing_that_they_acknowledged(tmp_path):
    assert kill_writers(tmp_path / "log", EXTENDED_KILLS) > 10 * EXTENDED_KILLS


def test_a_kill_between_a_part_and_the_end_of_its_write_ahead_file_doubles_nothing(tmp_path):
    with LogWriter(tmp_path) as writer:
        writer.append(decision("a"))
        writer.add_feedback("a", 0.5)
        folder = LogFolder(tmp_path)
        (number, path), *_ = folder.write_ahead.items()
        content = path.read_bytes()
    path.write_bytes(content + b"half a rec")  # the part is there, and the file that it was made of as well
    (tmp_path / "decisions" / ".part-00000000.parquet.x1.parquet").write_bytes(b"half a part")
    log = read_log(tmp_path)
    assert (ids(log), log.counts.broken) == (["a"], 1)
    with LogWriter(tmp_path) as writer:
        assert writer.counts.broken == 1
        assert not path.exists()
        assert writer.append(decision("b"))
        assert [*folder.write_ahead] == [number + 1]
    log = read_log(tmp_path)
    assert (ids(log), log.counts.broken) == (["a", "b"], 1)
    assert not list((tmp_path / "decisions").glob(".*"))


def test_a_file_that_cannot_be_read_is_set_aside_once_and_stops_nothing(tmp_path, caplog):
    folder = LogFolder(tmp_path)
    folder.make()
    folder.write_ahead_path(0).write_bytes(b"garbage, and much of it")
    with LogWriter(tmp_path, LogOptions(rotate_seconds=0.05, fsync_seconds=0.01)) as writer:
        assert writer.append(decision("a"))
        wait_until(lambda: folder.decisions)
        assert writer.forget("a") == 1
        assert writer.append(decision("b"))
        time.sleep(0.1)
        assert writer.counts == LogCounts(broken=1, forgotten=1)
    (aside,) = folder.unreadable.values()
    assert (aside.name, aside.read_bytes()) == ("00000000.wal.unreadable", b"garbage, and much of it")
    said = [record.getMessage() for record in caplog.records if "unreadable" in record.getMessage()]
    assert len(said) == 1
    assert said[0].endswith("it is set aside as 00000000.wal.unreadable")
    assert (ids(read_log(tmp_path)), read_log(tmp_path).counts.broken) == (["b"], 1)
    for path in [*folder.decisions.values(), *folder.feedback.values()]:
        path.unlink()
    assert folder.next_number() == 1, "another file would take its name"


def test_a_part_that_cannot_be_read_is_named_where_an_episode_is_to_be_forgotten(tmp_path):
    with LogWriter(tmp_path) as writer:
        LogFolder(tmp_path).decisions_path(7).write_bytes(b"garbage")
        with pytest.raises(InputError, match=r"part-00000007\.parquet: not a Parquet file"):
            writer.forget("a")


def fill(writer, most=5_000):
    """Append until the disk takes no more; returns the ids that it took."""
    taken = []
    for number in range(most):
        if not writer.append(decision(f"e{number}", embedding=np.full(2_000, number, np.float32))):
            return taken
        taken.append(f"e{number}")
    raise AssertionError("the disk never became full")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of four megabytes in memory, where this user may make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_on_a_full_disk_appends_are_counted_as_lost_until_there_is_room(small_disk, caplog):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_500_000))
    options = LogOptions(rotate_bytes=500_000, fsync_seconds=0.05)
    with LogWriter(small_disk / "log", options) as writer:
        taken = fill(writer)
        while writer.append(decision(f"f{len(taken)}", embedding=np.zeros(2, np.float32))):
            taken.append(f"f{len(taken)}")
        lost = writer.counts.lost
        assert lost >= 2
        assert set(ids(read_log(small_disk / "log"))) == set(taken)
        ballast.unlink()
        assert writer.append(decision("again"))
    log = read_log(small_disk / "log")
    assert set(ids(log)) == {*taken, "again"}
    assert log.counts == LogCounts(lost=lost)


def test_a_disk_that_takes_half_a_record_has_none_of_it(tmp_path, monkeypatch):
    write, room = os.write, [3_000]

    def scarce(descriptor, content):
        """Write what there is room for, as the operating system does."""
        size = min(len(content), room[0])
        if not size:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= size
        return write(descriptor, content[:size])

    with LogWriter(tmp_path) as writer:
        monkeypatch.setattr(os, "write", scarce)
        kept = [f"e{number}" for number in range(10) if writer.append(decision(f"e{number}"))]
        monkeypatch.undo()
        assert 0 < len(kept) < 10
        assert not writer._file or writer._file.intact
        assert writer.append(decision("after"))
    log = read_log(tmp_path)
    assert set(ids(log)) == {*kept, "after"}
    assert log.counts == LogCounts(lost=10 - len(kept))


def test_beyond_the_size_limit_the_oldest_parts_go_and_are_counted(tmp_path):
    options = LogOptions(rotate_bytes=20_000, max_bytes=200_000, fsync_seconds=None)
    rng = np.random.default_rng(0)
    with LogWriter(tmp_path, options) as writer:
        for number in range(200):
            writer.append(decision(f"{number:03d}", embedding=rng.normal(size=1_000)))
            writer.add_feedback(f"{number:03d}", 1.0)
    folder, log = LogFolder(tmp_path), read_log(tmp_path)
    assert folder.size() <= 200_000
    assert 0 < len(log) < 200
    assert log.counts.expired == 200 - len(log)
    assert ids(log) == [f"{number:03d}" for number in range(200 - len(log), 200)]
    assert min(folder.feedback) >= min(folder.decisions)
    with LogWriter(tmp_path, options) as writer:
        assert writer.counts == log.counts
    oldest = folder.decisions_path(min(folder.decisions))
    oldest.write_bytes(b"no Parquet")  # takes room, and keeps none of the others
    with LogWriter(tmp_path, options) as writer:
        for number in range(200, 300):
            writer.append(decision(f"{number:03d}", embedding=rng.normal(size=1_000)))
    assert writer.counts.broken == 1
    assert not oldest.exists()
    assert folder.size() <= 200_000


def test_a_forgotten_episode_is_in_no_file(tmp_path):
    with LogWriter(tmp_path, LogOptions(text=True)) as writer:
        for name in ("mine", "yours", "mine-too"):
            writer.append(decision(name, session_id=f"session of {name}"), decision(name, 1))
            writer.add_feedback(name, 0.5)
        assert writer.forget("mine") == 2
        assert not LogFolder(tmp_path).write_ahead
        assert writer.forget("mine") == 0
        assert writer.append(decision("later"))
        assert writer.forget("nobody") == 0
        log = read_log(tmp_path)
        assert sorted(set(ids(log))) == ["later", "mine-too", "yours"]
        assert log.counts == LogCounts(forgotten=2)
    assert sum(len(list((tmp_path / room).iterdir())) for room in ("decisions", "feedback")) == 3
    alone = tmp_path / "alone"
    with LogWriter(alone) as writer:
        writer.append(decision("mine"))
        writer.forget("mine")
    assert not LogFolder(alone).decisions
    assert len(read_log(alone)) == 0


def test_feedback_is_a_quality(tmp_path):
    with LogWriter(tmp_path) as writer:
        for quality in (1.5, -0.1, float("nan")):
            with pytest.raises(InputError, match=r"quality is .*, but must be a finite number of"):
                writer.add_feedback("a", quality)
    assert len(read_log(tmp_path)) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rotate_bytes": 0}, "rotate_bytes is 0, but must be a whole number of at least 1"),
        ({"fsync_seconds": -1.0}, "fsync_seconds is -1.0"),
        ({"max_bytes": 0}, "max_bytes is 0"),
        ({"max_bytes": 10_000_000}, "max_bytes is 10000000, but must be at least twice rotate_bytes"),
    ],
)
def test_options_are_checked(change, message):
    with pytest.raises(InputError, match=message):
        LogOptions(**change)


def test_an_append_takes_well_under_a_tenth_of_a_millisecond(tmp_path):
    """Processor time of this thread, the best of several stretches: other work on the machine is not the writer's."""
    embedding, best = np.random.default_rng(0).normal(size=512).astype(np.float32), np.inf
    with LogWriter(tmp_path) as writer:
        for stretch in range(8):
            decisions = [decision(f"{stretch}-{number}", embedding=embedding) for number in range(250)]
            start = time.thread_time()
            for one in decisions:
                writer.append(one)
            best = min(best, (time.thread_time() - start) / 250)
    assert best < 1e-4


def test_waiting_for_the_disk_at_every_append_is_an_option(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(descriptor), fsync(descriptor)))
    with LogWriter(tmp_path, LogOptions(fsync_seconds=0)) as writer:
        before = len(synced)
        writer.append(decision("a"))
        writer.append(decision("b"))
        assert len(synced) == before + 2
        with suppress(AttributeError):
            assert writer._file.synced == writer._file.size


def test_a_record_that_the_disk_did_not_confirm_is_not_there(tmp_path, monkeypatch):
    """Else it would be counted as lost, and refused as logged twice when the caller tries again."""
    fsync = os.fsync

    def failing(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    with LogWriter(tmp_path, LogOptions(fsync_seconds=0)) as writer:
        assert writer.append(decision("a"))
        monkeypatch.setattr(os, "fsync", failing)
        assert not writer.append(decision("b"))
        assert not writer.add_feedback("a", 1.0)
        monkeypatch.setattr(os, "fsync", fsync)
        assert writer.append(decision("b"))
    log = read_log(tmp_path)
    assert (ids(log), log.counts) == (["a", "b"], LogCounts(lost=2))
    assert np.isnan(log.column("quality")).all()
