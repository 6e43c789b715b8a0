"""Ways out of the sandbox, a row each: what a program tries, and that it got nowhere; the last test plants the fault.

Forks, memory, the disk, floods, sleeping, signals and forged verdicts are rows of `test_sandbox.py`.
"""
# ruff: noqa: E501 (a program is a line)

import os
import socket
import sys
from pathlib import Path

import pytest

from hierrouter_jax.bridge.grading.sandbox.sandbox import Outcome, ProgramTests, Sandbox, find_sandbox
from tests.bridge.grading.sandbox.programs import RIGHT, SHORT, TESTS, needs_sandbox, run

LIBC = "import ctypes, os, socket, stat, time, zipfile, zlib\nlibc = ctypes.CDLL(None, use_errno=True)\n"
DOOR = "\0hierrouter-escape"  # an abstract socket of this machine

# What a program does, as the body of a function; and what it gets where it got nowhere.
ESCAPES = {
    "traces its parent": ("return libc.ptrace(16, os.getppid(), 0, 0)", "-1"),
    "traces the first process": ("return libc.ptrace(16, 1, 0, 0)", "-1"),
    "reads the memory of its parent": (
        "buffer = ctypes.create_string_buffer(8)\n"
        "class Part(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('size', ctypes.c_size_t)]\n"
        "here, there = Part(ctypes.addressof(buffer), 8), Part(0x400000, 8)\n"
        "return libc.process_vm_readv(os.getppid(), ctypes.byref(here), 1, ctypes.byref(there), 1, 0)",
        "-1",
    ),
    "looks for /proc": ("return [p for p in ('/proc/self', '/proc/1', '/sys/kernel') if os.path.exists(p)]", "[]"),
    "reads what it inherited": (
        "seen = []\n"
        "for n in range(3, 4096):\n"
        "    try: kind = os.fstat(n).st_mode\n"
        "    except OSError: continue\n"
        "    if not stat.S_ISFIFO(kind): seen.append(n)\n"
        "return seen",
        "[]",
    ),
    "takes secrets from the environment": ("return [n for n in os.environ if 'KEY' in n or 'TOKEN' in n]", "[]"),
    "knocks at a door of the machine": (
        f"door = socket.socket(socket.AF_UNIX)\ntry: door.connect({DOOR!r})\nexcept OSError: return 'closed'\nreturn 'open'",
        "'closed'",
    ),
    "gains rights by a setuid program": ("return libc.prctl(39, 0, 0, 0, 0)", "1"),
    "has capabilities": ("return [c for c in range(40) if libc.prctl(23, c, 0, 0, 0) == 1 and os.getuid() == 0]", "[]"),
    "makes a namespace": ("return libc.unshare(0x10000000)", "-1"),
    "mounts": ("return libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)", "-1"),
    "changes the root": ("return libc.chroot(b'/tmp')", "-1"),
    "sets the clock": (
        "try: time.clock_settime(time.CLOCK_REALTIME, 0)\nexcept OSError: return 'no'\nreturn 'yes'",
        "'no'",
    ),
    "makes a device": (
        "try: os.mknod('/tmp/disk', 0o600 | stat.S_IFBLK, os.makedev(8, 0))\nexcept OSError: return 'no'\nreturn 'yes'",
        "'no'",
    ),
    "follows a link out": (
        "os.symlink('/etc/passwd', '/tmp/link')\ntry: return open('/tmp/link').read(4)\nexcept OSError: return 'no'",
        "'no'",
    ),
    "swaps a link while it is written": (
        "for n in range(200):\n"
        "    open('/tmp/a', 'w').close()\n"
        "    os.symlink('MARK', '/tmp/b')\n"
        "    os.rename('/tmp/b', '/tmp/a')\n"
        "    try: open('/tmp/a', 'w').write('escaped')\n"
        "    except OSError: pass\n"
        "    os.unlink('/tmp/a')\n"
        "return 'done'",
        "'done'",
    ),
    "unpacks a bomb": (
        "with zipfile.ZipFile('/tmp/bomb.zip', 'w', zipfile.ZIP_DEFLATED) as bomb:\n"
        "    for n in range(9): bomb.writestr(f'{n}', b'0' * 900000)\n"
        "try: zipfile.ZipFile('/tmp/bomb.zip').extractall('/tmp/out')\nexcept OSError: return 'no room'\nreturn 'room'",
        "'no room'",
    ),
    "unpacks a path that leads out": (
        "with zipfile.ZipFile('/tmp/out.zip', 'w') as one: one.writestr('../../../MARK', b'escaped')\n"
        "try: zipfile.ZipFile('/tmp/out.zip').extractall('/tmp/in')\nexcept OSError: pass\nreturn 'done'",
        "'done'",
    ),
    "writes beside its own library": (
        "try: open(os.path.join(os.path.dirname(os.__file__), 'sitecustomize.py'), 'w')\nexcept OSError: return 'no'\nreturn 'yes'",
        "'no'",
    ),
}
# Ways to be graded right that touch what the tests run in; each returns a wrong answer.
PRETENCES = {
    "a patched assert": "import builtins\nbuiltins.AssertionError = type('A', (Exception,), {'__init__': lambda *a: None})\ndef f(x): return 0",
    "a patched sys.exit": "import sys, os\nsys.exit = os._exit = lambda *a: None\nsys.excepthook = lambda *a: print('1 right')\ndef f(x): raise SystemExit",
    "a replaced equality": "import builtins, operator\noperator.eq = lambda *a: True\nbuiltins.all = builtins.any = lambda *a: True\ndef f(x): return 0",
    "a replaced import": "import builtins\nbuiltins.__import__ = lambda *a, **k: None\ndef f(x): return 0",
    "a patched unittest": "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\ndef f(x): return 0",
    "a hidden conftest": "open('/tmp/conftest.py', 'w').write('import os; os._exit(0)')\ndef f(x): return 0",
    "another thread that answers": "import threading, os\nthreading.Thread(target=lambda: os.write(101, b'1 right'), daemon=True).start()\ndef f(x): return 0",
    "a flood of errors": "import sys\nwhile True: sys.stderr.write('1 right\\n' * 1000)",
}


def attempt(name: str, mark: Path, sandbox: Sandbox | None = None) -> Outcome:
    body, expected = ESCAPES[name]
    inside = body.replace("MARK", str(mark)).replace("\n", "\n    ")
    tests = ProgramTests("", (), (("it", f"assert f() == {expected}, f()"),))
    program = f"{LIBC}def f():\n    {inside}\n"
    return (sandbox or find_sandbox()).run(program, tests, SHORT)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """What a program may be after: a secret, a door, a file that is open for whoever is started, a place to write."""
    monkeypatch.setenv("PAID_API_KEY", "secret")
    (tmp_path / "secret").write_text("secret")
    descriptor = os.open(tmp_path / "secret", os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    door = socket.socket(socket.AF_UNIX)
    door.bind(DOOR)
    door.listen()
    yield tmp_path / "mark"
    door.close()
    os.close(descriptor)


@needs_sandbox
@pytest.mark.parametrize("name", ESCAPES)
def test_no_program_gets_out(name, machine):
    outcome = attempt(name, machine)
    assert outcome == Outcome(True, "right"), outcome.reason
    assert not machine.exists()


@needs_sandbox
@pytest.mark.parametrize("name", PRETENCES)
def test_no_program_makes_itself_right(name):
    outcome = run(PRETENCES[name])
    assert not outcome.passed, outcome.reason
    assert run(RIGHT, TESTS).passed


@pytest.mark.parametrize(
    "name", ["knocks at a door of the machine", "looks for /proc", "swaps a link while it is written"]
)
def test_without_the_sandbox_the_table_notices(name, machine):
    """The planted fault: the same programs with bubblewrap left out."""
    outcome = attempt(name, machine, Sandbox(Path(sys.executable), None))
    assert not outcome.passed or machine.exists()
