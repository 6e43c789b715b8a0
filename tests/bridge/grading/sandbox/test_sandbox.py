"""Programs that mean harm, or mean to pass without being right: each fails, and the machine is unharmed."""
# ruff: noqa: E501 (a program is a line)

import os
import time
from pathlib import Path

import pytest

from hierrouter_jax.bridge.grading.sandbox import sandbox as sandboxes
from hierrouter_jax.bridge.grading.sandbox.sandbox import Outcome, ProgramTests, find_sandbox
from hierrouter_jax.errors import InputError
from tests.bridge.grading.sandbox.programs import (
    RIGHT,
    SHORT,
    TESTS,
    names_of_processes,
    needs_sandbox,
    raises,
    run,
    sees,
)


@needs_sandbox
def test_a_right_program_passes():
    assert run(RIGHT) == Outcome(True, "right")


FORGERIES = {
    "exits": "import sys; sys.exit(0)",
    "exits at once": "import os; os._exit(0)",
    "exits when called": "def f(x):\n    import os; os._exit(0)",
    "exits at the end": "import atexit, os; atexit.register(os._exit, 0)\ndef f(x): raise SystemExit(0)",
    "prints the mark": "print('1 right', flush=True)\ndef f(x): print('1 right', flush=True)",
    "raises the mark": "def f(x): raise AssertionError('1 right')",
    "raises the mark at once": "raise Exception('\\n1 right')",
    "writes the mark everywhere": "import os\nfor n in range(4096):\n    try: os.write(n, b'1 right')\n    except OSError: pass\nos._exit(0)",
    "floods the tests": "import os\nwhile True: os.write(101, b'\\xff' * 65536)",
    "claims a huge answer": "import os\nos.write(101, (1 << 62).to_bytes(8, 'little')); os._exit(0)",
    "claims a deep answer": "import os\nd = b'=' + (b'l' + (1).to_bytes(8, 'little')) * 100000\nos.write(101, len(d).to_bytes(8, 'little') + d); os._exit(0)",
    "patches the builtins": "import builtins\nbuiltins.AssertionError = ValueError\nbuiltins.exec = builtins.compile = lambda *a: None\nbuiltins.abs = lambda x: 0\ndef f(x): return 0",
    "patches the checker": "import sys, __main__\nm = sys.modules['__main__']\nfor n in list(vars(m)): vars(m)[n] = lambda *a, **k: b'1 right'\ndef f(x): return 0",
    "equals everything": "class A:\n    def __eq__(self, other): return True\ndef f(x): return A()",
    "is an integer that equals everything": "class A(int):\n    def __eq__(self, other): return True\ndef f(x): return A(0)",
    "is a list that equals everything": "class A(list):\n    __eq__ = lambda *a: True\n    __class__ = int\ndef f(x): return A()",
    "traces": "import sys\ndef trace(frame, event, arg):\n    frame.f_locals; return trace\nsys.settrace(trace); sys.setprofile(trace)\ndef f(x): return 0",
    "redefines what the tests use": "def f(x): return 0\ndef print(*a): pass\ndef isinstance(*a): return True\nTrue_ = __debug__",
}


@needs_sandbox
@pytest.mark.parametrize("name", FORGERIES)
def test_a_verdict_cannot_be_forged(name):
    outcome = run(FORGERIES[name])
    assert not outcome.passed
    assert not outcome.reason.startswith("right")


HARM = {
    "forks without end": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "takes all memory": "x = []\nwhile True: x.append(bytearray(1 << 24))",
    "takes all memory in children": "import os\nfor _ in range(9):\n    try: os.fork()\n    except OSError: break\nx = []\nwhile True:\n    try: x.append(bytearray(1 << 22))\n    except MemoryError: pass",
    "fills the disk": "n = 0\nwhile True:\n    n += 1\n    open(f'/tmp/{n}', 'wb').write(b'x' * 500000)",
    "never ends": "while True: pass",
    "never ends, deaf to signals": "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: pass",
    "never ends when called": "def f(x):\n    while True: pass",
    "prints without end": "while True: print('x' * 10000)",
    "sleeps": "import time; time.sleep(60)",
    "kills its parent": "import os; os.kill(os.getppid(), 9)",
    "kills everything": "import os; os.kill(-1, 9)",
    "stops its parent": "import os, signal; os.kill(os.getppid(), signal.SIGSTOP)",
    "recurses": "def f(x): return f(x)",
    "recurses through the stack": "import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return [f(x)].sort(key=f)",
    "nests": "x = []\nfor _ in range(10**6): x = [x]\ndef f(y): return x",
    "crashes": "import ctypes; ctypes.string_at(0)",
}  # fmt: skip


@needs_sandbox
@pytest.mark.parametrize("name", HARM)
def test_harm_fails_in_time(name):
    started = time.monotonic()
    assert not run(HARM[name]).passed
    assert time.monotonic() - started < 10
    assert run(RIGHT).passed


@needs_sandbox
@pytest.mark.parametrize("kind", ["fork", "thread"])
def test_nothing_outlives_its_program(kind):
    name = f"outlive-{kind}"
    linger = f"import ctypes, os, time\ndef linger():\n    ctypes.CDLL(None).prctl(15, b'{name}', 0, 0, 0)\n    time.sleep(60)\n"
    start = {
        "fork": "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: linger()\n    os._exit(0)\n",
        "thread": "import threading; threading.Thread(target=linger).start()\n",
    }
    outcome = run(linger + start[kind] + "time.sleep(.3)\n" + RIGHT)
    assert outcome.passed
    deadline = time.monotonic() + 3
    while (left := [comm for comm in names_of_processes() if comm == name]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


@needs_sandbox
def test_the_machine_is_out_of_sight(monkeypatch, tmp_path):
    monkeypatch.setenv("API_TOKEN", "secret")
    assert sees("sorted(set(os.environ) - {'PWD', 'LC_CTYPE'})", "['PYTHONHASHSEED']").passed
    assert sees("sorted(os.listdir('/'))[:3]", "['dev', 'etc', 'lib']").passed
    for folder in (
        "/root",
        "/home",
        "/proc",
        "/work",
        "/var",
        str(Path.home()),
        str(tmp_path),
        str(Path(__file__).parent),
    ):
        assert sees(f"os.path.exists({folder!r})", "False").passed, folder
    assert sees("os.listdir('/etc')", "['ld.so.cache']").passed
    assert sees("os.listdir('/tmp')", "[]").passed
    assert sees("os.getuid() == 0 or os.geteuid() == 0", "False").passed


@needs_sandbox
def test_nothing_outside_the_private_folder_can_be_written():
    for path in ("/x", "/usr/lib/x", "/dev/x", "/etc/x", "/usr/lib/os-release", os.__file__):
        assert raises(f"open({path!r}, 'w')").passed, path
    assert sees("open('/tmp/x', 'w').write('abc')", "3").passed
    assert raises("open('/tmp/x', 'wb').write(b'x' * (1 << 21))").passed  # SIGXFSZ is ignored by Python
    assert raises("for n in range(9): open(f'/tmp/{n}', 'wb').write(b'x' * 900000)").passed


@needs_sandbox
def test_there_is_no_network():
    assert raises("socket.create_connection(('1.1.1.1', 53), timeout=1)").passed
    assert raises("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('10.0.0.1', 9))").passed
    assert sees("[name for _, name in socket.if_nameindex()]", "['lo']").passed


@needs_sandbox
def test_limits_by_hand():
    """Processes: the program's own and seven more. Memory: no more than was allowed."""
    count = "n = 1\nwhile True:\n    try: child = os.fork()\n    except OSError: break\n    if child == 0: time.sleep(9)\n    n += 1\n"
    assert run(
        "import os, time\n" + count + "def f(): return n", ProgramTests("", (), (("it", "assert f() == 8, f()"),))
    ).passed
    assert raises("bytearray(1 << 28)", "MemoryError").passed
    assert sees("len(bytearray(1 << 26))", "1 << 26").passed


def test_without_bubblewrap_no_code_is_run(monkeypatch):
    monkeypatch.setattr(sandboxes, "which", lambda name: None)
    find_sandbox.cache_clear()
    try:
        with pytest.raises(InputError, match=r"not installed: apt-get install bubblewrap.*--unsafe_no_sandbox"):
            find_sandbox()
        unsafe = find_sandbox(allow_unsandboxed=True)
        assert unsafe.bwrap is None
        assert unsafe.run(RIGHT, TESTS, SHORT).passed
        assert not unsafe.run("while True: pass", TESTS, SHORT).passed
        assert not unsafe.run(FORGERIES["equals everything"], TESTS, SHORT).passed
    finally:
        find_sandbox.cache_clear()


def test_where_namespaces_are_refused_no_code_is_run(monkeypatch, tmp_path):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    monkeypatch.setattr(sandboxes, "which", lambda name: str(fake))
    find_sandbox.cache_clear()
    try:
        with pytest.raises(InputError, match="no code is run without a sandbox"):
            find_sandbox()
    finally:
        find_sandbox.cache_clear()
