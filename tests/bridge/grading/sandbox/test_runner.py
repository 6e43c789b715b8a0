"""Objects of a program are through the sandbox's wire what they are without it; none passes for a plain value."""
# ruff: noqa: E501 (a program is a line)

import pytest

from hierrouter_jax.bridge.grading.sandbox import limits as limits_module
from hierrouter_jax.bridge.grading.sandbox.sandbox import Limits, Outcome, ProgramTests
from tests.bridge.grading.sandbox.programs import SECRET, needs_sandbox, run

LONGER = Limits(cpu_seconds=2)

COIN = """
class Coin:
    def __init__(self, worth): self.worth = worth
    def __bool__(self): return self.worth > 0
    def __eq__(self, other): return self.worth == other.worth
    def __hash__(self): return self.worth
    def __lt__(self, other): return self.worth < other.worth
    def __add__(self, other): return Coin(self.worth + other.worth)
    def __repr__(self): return f"Coin({self.worth})"
    def __str__(self): return f"{self.worth} c"
class Bag:
    def __init__(self, *coins): self.coins = coins
    def __len__(self): return len(self.coins)
    def __iter__(self): return iter(self.coins)
class Plain: pass
def coin(worth): return Coin(worth)
def same(thing): return thing
def bag(*worths): return Bag(*map(Coin, worths))
def plain(): return Plain()
def found(pattern, text):
    import re
    return re.search(pattern, text)
def steps():
    yield 1
def lazy(x): return map(str, x)
"""
TRUE_OF_OBJECTS = [
    "coin(1)",
    "not coin(0)",
    "coin(0) or True",
    "coin(3) == coin(3) and not coin(3) == coin(4)",
    "coin(3) != coin(4) and not coin(3) != coin(3)",
    "[coin(1), coin(2)] == [coin(1), coin(2)]",
    "{'a': coin(1)} == {'a': coin(1)}",
    "coin(2) in [coin(1), coin(2)] and coin(3) not in [coin(1), coin(2)]",
    "len({coin(1), coin(1), coin(2)}) == 2",
    "coin(1) < coin(2) and coin(2) > coin(1)",
    "sorted([coin(2), coin(1)]) == [coin(1), coin(2)] and max(coin(1), coin(5)).worth == 5",
    "coin(1) + coin(2) == Coin(3)",
    "str(coin(2)) == '2 c' and repr(coin(2)) == 'Coin(2)' and f'{coin(2)}' == '2 c'",
    "isinstance(coin(1), Coin) and not isinstance(plain(), Coin) and not isinstance(1, Coin)",
    "bag(1) and not bag()",
    "len(bag(1, 2)) == 2 and [c.worth for c in bag(1, 2)] == [1, 2]",
    "plain() and plain() != plain()",
    "all(same(p) == p and same(p) is p and same(p) in [p] for p in [plain()])",
    "found('b', 'abc') and not found('x', 'abc') and found('x', 'abc') is None",
    "found('b', 'abc') is not None and bool(found('b', 'abc')) is True and found('b', 'abc').group() == 'b'",
    "steps() and list(steps()) == [1] and lazy([1]) and list(lazy([1])) == ['1']",
    "found and found == found and found != lazy",
    "not any([coin(0), bag()]) and all([coin(1), bag(2), plain()])",
]


@needs_sandbox
@pytest.mark.parametrize("claim", TRUE_OF_OBJECTS)
def test_what_is_true_of_objects_is_true_through_the_wire(claim):
    """Each claim holds in one interpreter; so it does, and its contrary does not, where program and tests are apart."""
    here: dict = {}
    exec(COIN, here)
    assert eval(claim, here)
    assert run(COIN, ProgramTests("", (), (("it", f"assert {claim}"),)), LONGER) == Outcome(True, "right")
    assert run(COIN, ProgramTests("", (), (("it", f"assert not ({claim})"),)), LONGER) == Outcome(False, "wrong: it")


@needs_sandbox
@pytest.mark.parametrize(
    "claim",
    [
        "f() == 3",
        "3 == f()",
        "f() in [3]",
        "[f()] == [3]",
        "abs(f() - 3) < 1",
        "f() < 4",
        "{f(): 1} == {3: 1}",
        "f() >= 3",
    ],
)
def test_no_object_of_the_programs_passes_for_a_value_of_the_tests(claim):
    """An object whose every operator says yes equals nothing that the tests hold."""
    program = (
        "class Yes:\n    def __hash__(self): return hash(3)\n    def __sub__(self, other): return 0\n"
        + "".join(f"    def __{name}__(self, other): return True\n" for name in ("eq", "lt", "le", "gt", "ge"))
        + "def f(): return Yes()"
    )
    assert not run(program, ProgramTests("", (), (("it", f"assert {claim}"),)), LONGER).passed


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
