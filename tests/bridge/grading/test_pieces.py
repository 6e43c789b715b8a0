"""The pieces of a response that may be code."""

import pytest

from hierrouter_jax.bridge.grading.pieces import parts, pieces


def test_pieces_of_a_response_by_hand():
    found = pieces("x = 1\n```python\ny = 2\n```\nNow:\n```text\nz = 3\n```\nand\nw = 4")
    assert [(piece.source.strip(), piece.place.name) for piece in found] == [
        ("x = 1", "OUTSIDE"),
        ("y = 2", "PYTHON"),
        ("z = 3", "OTHER"),
        ("w = 4", "OUTSIDE"),
    ]


def test_parts_by_hand():
    assert parts("a\n[DONE]\nb") == ["a\n", "\nb", "a\n[DONE]\nb"]
    assert parts("a") == ["a"]


@pytest.mark.parametrize(
    ("response", "ends"),
    [
        ("```python\nx = 1\n```", ["CLOSED"]),
        ("```python\ndef f():\n    return 1", ["OPEN"]),
        ("def f():\n    return 1\n    and more", ["CUT"]),
        ("x = 1\nreturn x", ["BODY"]),
    ],
)
def test_how_a_piece_ends(response, ends):
    assert [piece.end.name for piece in pieces(response)] == ends
