"""A whole decision log written at once: it is there whole or not at all, and is a log like any other."""

import os

import numpy as np
import pytest

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.decision_log import LogWriter, parts, read_log, write_log
from hierrouter_jax.outcomes.episodes import episodes_of, rows_of
from hierrouter_jax.sums import read_sums
from tests.outcomes.decision_log.served import decision, ids


@pytest.fixture
def rows(tmp_path):
    """Decisions and feedback of five episodes of one hop."""
    with LogWriter(tmp_path / "served") as writer:
        writer.append(*(decision(name, request_time=10.0 + place, end="horizon") for place, name in enumerate("abcde")))
        for name in "ace":
            writer.add_feedback(name, 0.5, at=20.0)
    return rows_of(episodes_of(read_log(tmp_path / "served")))


def test_what_was_written_is_read(tmp_path, rows):
    write_log(tmp_path / "log", *rows)
    here, there = read_log(tmp_path / "log"), read_log(tmp_path / "served")
    assert here.rows.equals(there.rows)
    assert here.counts == there.counts


def test_a_long_log_has_several_parts_and_can_be_appended_to(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(parts, "_ROWS", 2)
    write_log(tmp_path / "log", *rows)
    assert len(list((tmp_path / "log" / "decisions").iterdir())) == 3
    with LogWriter(tmp_path / "log") as writer:
        writer.append(decision("f", request_time=30.0, end="horizon"))
        writer.add_feedback("b", 1.0)
    log = read_log(tmp_path / "log")
    assert ids(log) == list("abcdef")
    np.testing.assert_array_equal(log.column("quality"), [0.5, 1.0, 0.5, np.nan, 0.5, np.nan])


def test_a_part_that_was_damaged_is_refused(tmp_path, rows):
    write_log(tmp_path / "log", *rows)
    assert set(read_sums(tmp_path / "log")) == {"decisions/part-00000000.parquet", "feedback/part-00000000.parquet"}
    path = tmp_path / "log" / "decisions" / "part-00000000.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"decisions/part-00000000\.parquet: is not the file that .* lists"):
        read_log(tmp_path / "log")


def test_a_folder_with_a_log_is_refused(tmp_path, rows):
    with pytest.raises(InputError, match="served: holds a decision log already; name another folder"):
        write_log(tmp_path / "served", *rows)


def test_decisions_that_are_no_log_are_refused_and_stay(tmp_path, rows):
    """As where somebody copied the parts alone."""
    (tmp_path / "log" / "decisions").mkdir(parents=True)
    part = tmp_path / "log" / "decisions" / "part-00000000.parquet"
    part.write_bytes(b"a part")
    with pytest.raises(InputError, match="log/decisions: holds files already, though no decision log; name another"):
        write_log(tmp_path / "log", *rows)
    assert part.read_bytes() == b"a part"
    assert not (tmp_path / "log" / "write-ahead").exists()
    part.unlink()
    write_log(tmp_path / "log", *rows)
    assert len(read_log(tmp_path / "log")) == 5


def test_what_a_killed_writing_left_is_removed(tmp_path, rows):
    left = tmp_path / "log" / ".decisions-x1"
    left.mkdir(parents=True)
    (left / "part-00000000.parquet").write_bytes(b"half a log")
    write_log(tmp_path / "log", *rows)
    assert not list((tmp_path / "log").glob(".decisions-*"))
    assert len(read_log(tmp_path / "log")) == 5


def test_who_may_read_a_log_is_as_the_umask_says(tmp_path, rows):
    before = os.umask(0o027)
    try:
        write_log(tmp_path / "log", *rows)
    finally:
        os.umask(before)
    decisions = tmp_path / "log" / "decisions"
    assert decisions.stat().st_mode & 0o777 == 0o750
    assert (decisions / "part-00000000.parquet").stat().st_mode & 0o777 == 0o640


def test_what_a_reader_would_refuse_is_not_written(tmp_path, rows):
    decisions, feedback = rows
    twice = decisions.take([0, 1, 1])
    with pytest.raises(InputError, match="log: row 2: stage 0 of episode_id 'b' is logged twice"):
        write_log(tmp_path / "log", twice, feedback)
    place = decisions.schema.get_field_index("propensity")
    wrong = decisions.set_column(place, "propensity", [[0.1] * 5])
    with pytest.raises(InputError, match=r"log: row 0: propensity is 0\.1, but must be that of the action in probs"):
        write_log(tmp_path / "log", wrong, feedback)
    assert not (tmp_path / "log").exists()


def test_a_writing_that_breaks_off_leaves_no_log(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(parts, "_ROWS", 2)
    write, full = parts.write_part, []

    def broken(path, its):
        full.append(path)
        if len(full) == 3:
            raise OSError(28, "No space left on device", str(path))
        write(path, its)

    monkeypatch.setattr(parts, "write_part", broken)
    with pytest.raises(OSError, match="No space left"):
        write_log(tmp_path / "log", *rows)
    with pytest.raises(InputError, match="holds no decision log"):
        read_log(tmp_path / "log")
    monkeypatch.setattr(parts, "write_part", write)
    write_log(tmp_path / "log", rows[0], rows[1].slice(0, 0))  # another can be written, without its feedback
    assert len(read_log(tmp_path / "log")) == 5
    assert np.isnan(read_log(tmp_path / "log").column("quality")).all()
