"""Parquet parts of a decision log: one that is written, and a whole log at once, as simulations and imports make it."""

import secrets
import shutil
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hierrouter_jax.errors import InputError
from hierrouter_jax.files import sole_writer, write_bytes
from hierrouter_jax.outcomes.decision_log.checks import check_decisions, check_feedback, check_unique
from hierrouter_jax.outcomes.decision_log.folder import LogFolder
from hierrouter_jax.sums import sign

_ROWS = 50_000  # of a part, so that it fits into memory beside others
_NEW = ".decisions-"  # begins the name of a folder of parts that is not whole yet


def write_part(path: Path, rows: pa.Table) -> None:
    """Write the rows of a part, whole or not at all."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    write_bytes(path, sink.getvalue().to_pybytes())


def write_log(folder: Path | str, decisions: pa.Table, feedback: pa.Table) -> None:
    """Write a new decision log of episodes that have all ended; a service appends with `LogWriter` instead.

    Args:
      folder: folder of the log, made where there is none.
      decisions: one row a decision, in the columns of the log.
      feedback: one row a quality that came.

    Raises:
      InputError: if the folder holds a log or decisions already, or naming the row and field that `read_log` would
        refuse; nothing is written then.
    """
    its = LogFolder(Path(folder))
    check_decisions(decisions, its.path)
    check_feedback(feedback, its.path)
    check_unique([(its.path, decisions)])
    with sole_writer(its.path):
        if its.exists:
            raise InputError(f"{folder}: holds a decision log already; name another folder")
        room = its.decisions_path(0).parent
        if room.is_dir() and any(room.iterdir()):
            raise InputError(f"{room}: holds files already, though no decision log; name another folder")
        its.make()
        room.rmdir()  # a folder without it holds no log, and it comes last, whole
        its.feedback_path(0).unlink(missing_ok=True)  # of a writing that was killed, as are the folders
        for left in its.path.glob(f"{_NEW}*"):
            shutil.rmtree(left, ignore_errors=True)
        if feedback.num_rows:
            write_part(its.feedback_path(0), feedback)
        new = its.path / f"{_NEW}{secrets.token_hex(4)}"
        new.mkdir()
        try:
            for number, start in enumerate(range(0, decisions.num_rows, _ROWS)):
                write_part(new / its.decisions_path(number).name, decisions.slice(start, _ROWS))
            new.rename(room)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        with suppress(OSError):  # hidden files have no sums, and the parts were hidden as they were written
            sign(its.path)
