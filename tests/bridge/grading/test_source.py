"""What a piece of Python defines and needs, and how much of a text is Python."""

import ast
import warnings

import pytest

from hierrouter_jax.bridge.grading.source import (
    bound_names,
    code_lines,
    defined_names,
    does_something,
    error_in,
    goes_on,
    longest,
    missing_names,
    names_before_end,
    syntax_tree,
    without_demonstration,
)


def test_without_demonstration_by_hand():
    source = (
        "word\n[BEGIN]\nimport sys\nprint('kept: it stands before')\ndef f(n):\n    return g(n) + TABLE[n]\n"
        "def g(n):\n    return n\nTABLE = []\nfor i in range(9):\n    TABLE.append(i)\nsys.setrecursionlimit(9999)\n"
        "def h(n):\n    return n\nprint(f(1))\nassert f(1) == 3\nresult = f(2)\n"
    )
    assert without_demonstration(source, ["f"], []) == (
        "import sys\nprint('kept: it stands before')\ndef f(n):\n    return g(n) + TABLE[n]\n"
        "def g(n):\n    return n\nTABLE = []\nfor i in range(9):\n    TABLE.append(i)\nsys.setrecursionlimit(9999)\n"
    )
    assert "result = f(2)" in without_demonstration(source, ["f"], ["result"])
    assert without_demonstration("def f(:", ["f"], []) == "def f(:"
    assert without_demonstration("Sure\n", ["f"], []) == ""


def test_missing_names_by_hand():
    source = "import a\nx: int = 1\ndef f(y, z=w):\n    global v\n    v = 1\n    return [u for u in y] + b(z, x, v)"
    assert missing_names(source) == {"w", "b"}


def test_names_by_hand():
    source = "import a.b\nx = 1\ndef f(): return 1\ndef g(): pass\nclass C: pass\n(y, z) = 1, 2"
    assert defined_names(source) == {"x", "f", "C", "y", "z"}
    assert bound_names(source) == {"a", "x", "f", "C", "y", "z"}
    assert names_before_end(source) == {"x", "f", "C"}
    assert defined_names("x = (") == bound_names("x = (") == names_before_end("x = (") == set()


def test_what_compiles_by_hand():
    error = error_in("x = 1\nreturn x")
    assert error is not None
    assert error.lineno == 2
    assert error_in("x = 1") is None
    tree = syntax_tree("x = 1")
    assert tree is not None
    assert len(tree.body) == 1
    assert syntax_tree("# nothing") is syntax_tree("x = (") is None


def test_nobody_is_warned_of_a_response_s_escapes():
    source = "x = '\\d'\ndef f(): return y"
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert syntax_tree(source) is not None
        assert missing_names(source) == {"y"}
    assert warned == []


def test_the_longest_python_by_hand():
    assert longest("x = 1\ny = 2\nThen it's done.") == ("x = 1\ny = 2", "Then it's done.")
    assert longest("Then it's done.") == ("", "Then it's done.")
    assert longest("x = 1\r\ny = 2\rIt's done.\n") == ("x = 1\ny = 2", "It's done.")


@pytest.mark.parametrize("sign", ["\f", "\v", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_what_python_reads_as_one_line_is_one(sign):
    """`str.splitlines` parts a text at each of these signs, too."""
    assert code_lines(f"x = '{sign}'\r\ny = 2\r\rz = 3\n") == [f"x = '{sign}'", "y = 2", "", "z = 3"]
    source = f"x = '{sign}'\n\f\ndef f(y):\n    return y\n"
    assert longest(f"{source}Then it's done.") == (source.rstrip("\n"), "Then it's done.")
    assert without_demonstration(f"{source}print(f(1))\n", ["f"], []) == source


def test_what_goes_on_by_hand():
    assert goes_on("\n    y = 2")
    assert goes_on("else:")
    assert not goes_on("y = 2")


def test_a_function_that_does_nothing():
    for body, something in (("pass", False), ("'''Doc.'''", False), ("...", False), ("return 1", True)):
        (function,) = ast.parse(f"def f():\n    {body}").body
        assert isinstance(function, ast.FunctionDef)
        assert does_something(function) == something
