"""Plain values as bytes: what is written is read again, and nothing else is."""

import datetime
import os
import uuid
from collections import Counter, OrderedDict, deque
from decimal import Decimal
from fractions import Fraction

import pytest

from hierrouter_jax.bridge.grading.sandbox.wire import Reader, frame, pack, read_exactly, read_frame, sized, write_frame

VALUES = [
    *(None, True, False, 0, -1, 2**80, 1.5, float("inf"), "é\ud800", b"x", bytearray(b"y"), 1j),
    *([1, [2]], (1, "a"), {1, 2}, frozenset([3]), {"a": {1: None}}, range(1, 9, 2), slice(1, None)),
    *(Decimal("1.10"), Fraction(1, 3), datetime.date(2024, 2, 29), datetime.timedelta(1, 2), uuid.UUID(int=7)),
    *(OrderedDict(b=1, a=2), Counter("aab"), deque([1, 2], 3), datetime.datetime(2024, 2, 29, 1, 2, 3, 4)),
]


def handle(tag: bytes, text: str) -> tuple[bytes, str]:
    return tag, text


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_plain_value_is_read_as_it_was_written(value):
    again = Reader(pack(value, None), None).value()
    assert again == value
    assert type(again) is type(value)


def test_what_is_no_plain_value_is_handed_on():
    thing = object()
    data = pack([1, thing], lambda value: sized(b"h", b"thing"))
    assert Reader(data, handle).value() == [1, (b"h", "thing")]


def test_bytes_by_hand():
    assert pack(None, None) == b"N"
    assert sized(b"u", b"ab") == b"u\x02\0\0\0\0\0\0\0ab"
    assert pack("ab", None) == sized(b"u", b"ab")
    assert pack([True, False], None) == b"l\x02\0\0\0\0\0\0\0TF"
    assert frame(None) == b"\x01\0\0\0\0\0\0\0N"


def test_a_frame_that_lies_is_refused():
    with pytest.raises(ValueError, match="ends too early"):
        Reader(sized(b"u", b"ab")[:-1], None).value()
    with pytest.raises(ValueError, match="unknown type"):
        Reader(sized(b"k", b"os.system") + pack(("ls",), None), None).value()


def test_frames_cross_a_pipe():
    reading, writing = os.pipe()
    write_frame(writing, pack([1, "x"], None))
    os.write(writing, b"rest" + (1 << 60).to_bytes(8, "little"))
    assert Reader(read_frame(reading), None).value() == [1, "x"]
    assert read_exactly(reading, 4) == b"rest"
    with pytest.raises(MemoryError):
        read_frame(reading)
    os.close(writing)
    with pytest.raises(EOFError):
        read_exactly(reading, 1)
    os.close(reading)
