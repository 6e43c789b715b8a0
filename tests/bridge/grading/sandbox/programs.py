"""How tests run a program in the sandbox, and what they ask of it."""

from pathlib import Path

import pytest

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


def names_of_processes() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/task/[0-9]*/comm"):
        try:
            found.append(path.read_text().strip())
        except OSError:
            continue
    return found
