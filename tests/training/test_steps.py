"""The steps of a learner on disk: what goes wrong while they are written says where, once, and without a traceback."""

import errno
import logging
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

from hierrouter_jax.errors import InputError
from hierrouter_jax.files import trouble_of_place
from hierrouter_jax.training.steps import Steps


def test_arrays_come_back_from_the_step_that_they_were_saved_at(tmp_path):
    arrays = {"weights": np.arange(6, dtype=np.float32).reshape(2, 3)}
    with Steps(tmp_path / "steps", 0, writes=True) as steps:
        steps.save(3, arrays, 0.5)
    with Steps(tmp_path / "steps", 0) as steps:
        assert steps.on_disk() == [3]
        np.testing.assert_array_equal(steps.load(3)["weights"], arrays["weights"])
        with pytest.raises(InputError, match="no checkpoint that can be read"):
            steps.load(4)


@pytest.mark.parametrize("jump", [-86_400, 172_800])
def test_a_step_of_the_clock_while_one_is_written_is_no_disk_that_hangs(jump, tmp_path, monkeypatch):
    """Orbax counts its patience of 20 minutes by the wall clock."""
    real, calls = time.time, iter(range(10**9))
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + jump * (next(calls) % 2))
        with Steps(tmp_path, 0, writes=True) as steps:
            for step in (1, 2):
                steps.save(step, {"weight": np.full(3, step)}, 0.0)
    with Steps(tmp_path, 0) as steps:
        np.testing.assert_array_equal(steps.load(2)["weight"], np.full(3, 2))


@pytest.mark.parametrize("method", ["save_async", "close"])
def test_a_full_disk_is_said_of_the_folder(method, tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    steps = Steps(tmp_path / "steps", 0, writes=True)
    with monkeypatch.context() as patch:
        patch.setattr(ocp.training.Checkpointer, method, full)
        with pytest.raises(OSError, match="No space left") as caught, steps:
            steps.save(1, {"a": np.zeros(1)}, 0.0)
    assert (
        trouble_of_place(caught.value) == f"{tmp_path / 'steps'}: cannot be read or written (No space left on device)"
    )


@pytest.mark.parametrize(("path", "logged"), [("/x/orbax/checkpoint/future.py", False), ("/x/other/module.py", True)])
def test_what_fails_in_a_thread_of_orbax_is_not_logged_as_it_is_raised(path, logged, tmp_path):
    Steps(tmp_path / "steps", 0).__exit__()
    logger, failed = logging.getLogger("absl"), (OSError, OSError("full"), None)
    assert bool(logger.filter(logger.makeRecord("absl", logging.ERROR, path, 1, "failed", (), failed))) == logged
    assert logger.filter(logger.makeRecord("absl", logging.ERROR, path, 1, "only said", (), None))


LATE = """
import sys, threading
from hierrouter_jax.training.steps import _orbax

_orbax()

class Late:
    def __init__(self, words):
        self.words = words

    def __del__(self):
        raise RuntimeError(self.words)

for words in ("Event loop is closed", "something else"):
    thread = threading.Thread(target=Late, args=(words,))
    thread.start()
    thread.join()
Late("Event loop is closed")
"""


def test_only_what_a_thread_of_tensorstore_tells_too_late_is_not_printed():
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=True)
    assert done.stderr.count("RuntimeError: Event loop is closed") == 1  # the main thread's own
    assert done.stderr.count("RuntimeError: something else") == 1
