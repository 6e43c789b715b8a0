"""The pieces of a response that may be code."""

from hierrouter_jax.bridge.grading.pieces import pieces


def test_pieces_of_a_response_by_hand():
    found = pieces("x = 1\n```python\ny = 2\n```\nNow:\n```text\nz = 3\n```\nand\nw = 4")
    assert [(piece.source.strip(), piece.place.name) for piece in found] == [
        ("x = 1", "OUTSIDE"),
        ("y = 2", "PYTHON"),
        ("z = 3", "OTHER"),
        ("w = 4", "OUTSIDE"),
    ]
