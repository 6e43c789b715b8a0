"""What a piece of Python defines and needs, and how much of a text is Python."""

from hierrouter_jax.bridge.grading.source import missing_names, without_demonstration


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
