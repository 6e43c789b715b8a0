"""Programs that mean harm, or mean to pass without being right: each fails, and the machine is unharmed."""
# ruff: noqa: E501 (a program is a line)

import os
import time
from pathlib import Path

import pytest

from hierrouter_jax.bridge.grading.sandbox import limits as limits_module
from hierrouter_jax.bridge.grading.sandbox import sandbox as sandboxes
from hierrouter_jax.bridge.grading.sandbox.limits import filter_program
from hierrouter_jax.bridge.grading.sandbox.sandbox import Limits, Outcome, ProgramTests, find_sandbox
from hierrouter_jax.errors import InputError

try:
    find_sandbox()
    WITHOUT = ""
except InputError as error:
    WITHOUT = str(error)
needs_sandbox = pytest.mark.skipif(bool(WITHOUT), reason=WITHOUT)

SHORT = Limits(cpu_seconds=1, wall_seconds=2, memory_bytes=1 << 28, file_bytes=1 << 20, tmp_bytes=1 << 22)
SECRET = 918273645
TESTS = ProgramTests("", (), (("assert 1", f"assert f(1) == {SECRET}"), ("assert 2", "assert f(2) == [3, (4.5, 'x')]")))
RIGHT = f"def f(x): return {SECRET} if x == 1 else [3, (4.5, 'x')]"


def run(program: str, tests: ProgramTests = TESTS, limits: Limits = SHORT) -> Outcome:
    return find_sandbox().run(program, tests, limits)


def sees(expression: str, expected: str, before: str = "") -> Outcome:
    """Whether a program inside finds `expression` to equal `expected`."""
    program = f"{before}\ndef f():\n    import os, sys, socket\n    return {expression}"
    return run(program, ProgramTests("", (), (("it", f"assert f() == {expected}, f()"),)))


def raises(statement: str, kind: str = "OSError") -> Outcome:
    indented = "\n    ".join(statement.splitlines())
    program = f"import os, socket\ntry:\n    {indented}\nexcept {kind}:\n    caught = 1\ndef f(): return caught"
    return run(program, ProgramTests("", (), (("it", "assert f() == 1"),)))


@needs_sandbox
def test_a_right_program_passes():
    assert run(RIGHT) == Outcome(True, "right")


@needs_sandbox
@pytest.mark.parametrize(
    "kind", ["-5", "2**70", "1.5", "float('inf')", "'é\\ud800'", "b'x'", "bytearray(b'x')", "None"]
)
def test_plain_values_cross_as_they_are(kind):
    program = f"def f(x): return x, type(x).__name__, {kind}"
    step = f"x = {kind}\nassert f(x) == (x, type(x).__name__, x), f(x)"
    assert run(program, ProgramTests("", (), (("it", step),))).passed


@needs_sandbox
def test_compound_values_cross_as_they_are():
    value = "[(1, {'a': {2, 3}}), frozenset([4]), range(3), 1j, Counter('aab'), deque([1]), Fraction(1, 3), date(2024, 2, 29)]"
    imports = "from collections import *\nfrom fractions import *\nfrom datetime import *"
    step = f"x = {value}\nassert f(x) == x and [type(v) for v in f(x)] == [type(v) for v in x]"
    assert run(f"{imports}\ndef f(x): return x", ProgramTests(imports, (), (("it", step),))) == Outcome(True, "right")


@needs_sandbox
def test_objects_of_the_programs_own_classes_are_reached_attribute_by_attribute():
    program = "class Node:\n    def __init__(self, v): self.v, self.left = v, None\ndef f(n): return n.v + n.left.v"
    steps = (("set-up", "root = Node(1)\nroot.left = Node(2)"), ("it", "assert f(root) == 3 and root.left.v == 2"))
    assert run(program, ProgramTests("", (), steps)).passed


@needs_sandbox
def test_generators_and_errors_behave_in_the_tests_as_in_the_program():
    program = "def f(n):\n    yield from range(n)\ndef g(): return [][0]"
    steps = (
        ("generator", "assert list(f(3)) == [0, 1, 2]"),
        ("error", "try:\n    g()\n    assert False\nexcept IndexError:\n    pass"),
    )
    assert run(program, ProgramTests("", (), steps)).passed


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


@needs_sandbox
def test_what_the_tests_compare_with_is_not_the_programs():
    forged = "def f(x): return [9]\ndef sorted(x): return 0\ndef set(x): return 0\nfrom math import *\nisclose = lambda *a: True"
    for check in ("sorted(f(1)) == sorted([1])", "set(f(1)) == set([1])", "isclose(f(1)[0], 1)"):
        assert not run(forged, ProgramTests("from math import isclose", (), (("it", f"assert {check}"),))).passed


@needs_sandbox
def test_a_function_may_be_named_as_one_of_pythons_own():
    assert run("def sum(a, b): return a + b", ProgramTests("", (), (("it", "assert sum(10, 15) == 25"),))).passed


SEARCH = f"""
import gc, os, sys
def holds(thing, depth=3):
    if isinstance(thing, (str, bytes)):
        return "".join(["9182", "73645"]) in (thing if isinstance(thing, str) else thing.decode("latin1"))
    if isinstance(thing, int):
        return thing * 2 == {SECRET * 2}
    if isinstance(thing, dict):
        return depth > 0 and any(holds(part, depth - 1) for item in list(thing.items()) for part in item)
    return depth > 0 and isinstance(thing, (list, tuple, set)) and any(holds(part, depth - 1) for part in list(thing))
def readable():
    yield from gc.get_objects()
    frame = sys._getframe()
    while frame:
        yield from (frame.f_globals, frame.f_locals, frame.f_code.co_consts)
        frame = frame.f_back
    yield from (dict(os.environ), sys.argv, sys.orig_argv)
    for pid in ("self", "1", "2", str(os.getppid())):
        for name in ("environ", "cmdline", "mem", "fd/0", "fd/1"):
            try:
                yield open(f"/proc/{{pid}}/{{name}}", "rb").read(1 << 20)
            except OSError:
                pass
    for descriptor in range(100):
        try:
            yield os.read(descriptor, 1 << 20)
        except OSError:
            pass
def f(x):
    return any(holds(thing) for thing in readable())
"""


@needs_sandbox
@pytest.mark.parametrize("held", [True, False])
def test_the_expected_values_are_nowhere_in_reach(held):
    """The search finds the secret where the program itself holds it, and not where only the tests do."""
    program = SEARCH + (f"mine = [{SECRET}]\n" if held else "")
    tests = ProgramTests("", (), (("search", f"secret = {SECRET}\nassert f(1) is {held}"),))
    assert run(program, tests, Limits(wall_seconds=20)) == Outcome(True, "right")


TRACE = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def refused(call, *arguments):
    return libc[call](*arguments) == -1
def f():
    parent, buffer = os.getppid(), ctypes.create_string_buffer(8)
    class Part(ctypes.Structure):
        _fields_ = [("at", ctypes.c_void_p), ("size", ctypes.c_size_t)]
    here, there = Part(ctypes.addressof(buffer), 8), Part(ctypes.addressof(buffer), 8)
    read = libc.process_vm_readv(parent, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    attach = libc.ptrace(16, parent, 0, 0)
    descriptor = libc.syscall(434, parent, 0)
    stolen = libc.syscall(438, descriptor, 1, 0) if descriptor >= 0 else -1
    return [read, attach, stolen]
"""


@needs_sandbox
@pytest.mark.parametrize("filtered", [True, False])
def test_the_tests_process_can_be_neither_read_nor_traced(monkeypatch, filtered):
    if not filtered:
        monkeypatch.setattr(limits_module, "filter_program", lambda: None)
    outcome = run(TRACE, ProgramTests("", (), (("refused", "assert f() == [-1, -1, -1], f()"),)))
    assert outcome == Outcome(True, "right")


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


def names_of_processes() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/task/[0-9]*/comm"):
        try:
            found.append(path.read_text().strip())
        except OSError:
            continue
    return found


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


@needs_sandbox
@pytest.mark.skipif(filter_program() is None, reason="libseccomp or its binding is missing")
def test_forbidden_calls_fail():
    before = "import ctypes\nlibc = ctypes.CDLL(None)"
    assert sees(
        "[libc.unshare(0x10000000), libc.memfd_create(b'x', 0), libc.mount(0, 0, 0, 0, 0)]", "[-1, -1, -1]", before
    ).passed


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
