"""The limit on the memory of a program's processes together: it ends the many, and never a program that is one."""

import os
import sys
import time
from pathlib import Path

import pytest

from hierrouter_jax.bridge.grading.sandbox.limits import address_space, filter_pipe, filter_program
from hierrouter_jax.bridge.grading.sandbox.sandbox import Limits, Outcome, ProgramTests, Sandbox
from tests.bridge.grading.sandbox.programs import RIGHT, names_of_processes, needs_sandbox, run, sees

MIB = 1 << 20
# Each of the program's processes may take far more than one of these children does.
FEW = Limits(wall_seconds=20, memory_bytes=200 * MIB, tree_bytes=400 * MIB)
CHILDREN = """
import ctypes, mmap, os, time
for _ in range(COUNT):
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(15, b"NAME", 0, 0, 0)
        held = TAKE
        time.sleep(60)
time.sleep(.7)
"""
SHARED = """mmap.mmap(-1, 80 << 20)
        held.write(b'x' * (80 << 20))
        held.madvise(mmap.MADV_DONTNEED)"""
TAKEN = {"its own": "b'x' * (80 << 20)", "shared, and given back to sight": SHARED}
TOO_MUCH = Outcome(False, "memory: more than 400 MiB in all processes")


def children(name: str, count: int, take: str) -> str:
    return CHILDREN.replace("NAME", name).replace("COUNT", str(count)).replace("TAKE", take) + RIGHT


@needs_sandbox
@pytest.mark.parametrize("kind", TAKEN)
def test_children_that_together_take_too_much_fail_and_are_gone(kind):
    name = f"many-{kind[:6].strip()}"
    started = time.monotonic()
    assert run(children(name, 6, TAKEN[kind]), limits=FEW) == Outcome(
        False, "memory: more than 400 MiB in all processes"
    )
    assert time.monotonic() - started < 5
    deadline = time.monotonic() + 3
    while name in names_of_processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert name not in names_of_processes()
    assert run(RIGHT, limits=FEW).passed


@needs_sandbox
def test_few_children_that_take_little_pass():
    assert run(children("few", 2, "b'x' * (20 << 20)"), limits=FEW) == Outcome(True, "right")


@needs_sandbox
def test_one_process_at_its_own_limit_is_not_too_many():
    """The tests' process beside it may be as large: the default is twice what a process may take."""
    program = (
        "import time\nheld = []\ntry:\n    while True: held.append(bytearray(1 << 22))\nexcept MemoryError: pass\n"
    )
    tests = ProgramTests("", (), (("it", "import time\ntime.sleep(.4)\nassert f() > 100, f()"),))
    assert run(f"{program}def f(): return len(held)", tests, Limits()) == Outcome(True, "right")
    assert Limits().tree_bytes == 2 * Limits().memory_bytes


def test_without_a_sandbox_it_holds_too():
    unsafe = Sandbox(Path(sys.executable), None)
    outcome = unsafe.run(children("unsafe", 6, TAKEN["its own"]), ProgramTests("", (), ()), FEW)
    assert outcome == TOO_MUCH


def test_a_process_that_has_ended_takes_nothing():
    assert address_space(2**22 + 1) == 0


@needs_sandbox
@pytest.mark.skipif(filter_program() is None, reason="libseccomp or its binding is missing")
def test_forbidden_calls_fail():
    before = "import ctypes\nlibc = ctypes.CDLL(None)"
    assert sees(
        "[libc.unshare(0x10000000), libc.memfd_create(b'x', 0), libc.mount(0, 0, 0, 0, 0)]", "[-1, -1, -1]", before
    ).passed


@pytest.mark.skipif(filter_program() is None, reason="libseccomp or its binding is missing")
def test_the_filter_is_read_from_its_pipe_once():
    with filter_pipe() as descriptor:
        assert descriptor is not None
        assert os.read(descriptor, 1 << 16) == filter_program()
        assert os.read(descriptor, 1) == b""
