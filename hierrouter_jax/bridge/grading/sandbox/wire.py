"""Plain values as bytes, between the sandbox's two processes; the reader builds values of its own and trusts nobody.

Like `runner.py` it is given to a bare Python and imports nothing. Pickle and marshal are no choice here: reading them
runs, or crashes on, what the writer wrote.
"""
# Annotations would need `typing`, which takes longer to import than a short program to run.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false
# pyright: reportCallIssue=false, reportOptionalMemberAccess=false, reportReturnType=false

import os

MAX_FRAME = 1 << 26
# Value types that cross the pipes as themselves, by what rebuilds them: constructor arguments.
REDUCED = {
    "decimal.Decimal": lambda value: (str(value),),
    "fractions.Fraction": lambda value: (value.numerator, value.denominator),
    "datetime.date": lambda value: (value.year, value.month, value.day),
    "datetime.time": lambda value: (value.hour, value.minute, value.second, value.microsecond),
    "datetime.timedelta": lambda value: (value.days, value.seconds, value.microseconds),
    "datetime.datetime": lambda value: (*value.timetuple()[:6], value.microsecond),
    "collections.OrderedDict": lambda value: (list(value.items()),),
    "collections.Counter": lambda value: (dict(value),),
    "collections.deque": lambda value: (list(value), value.maxlen),
    "builtins.range": lambda value: (value.start, value.stop, value.step),
    "builtins.slice": lambda value: (value.start, value.stop, value.step),
    "uuid.UUID": lambda value: (str(value),),
    "builtins.complex": lambda value: (value.real, value.imag),
}
SEQUENCES = ((list, b"l"), (tuple, b"t"), (set, b"s"), (frozenset, b"z"), (type({}.keys()), b"z"))
BUILD = {b"l": list, b"t": tuple, b"s": set, b"z": frozenset}


def pack(value, export):
    """Bytes of a value; what is no plain value is handed to `export`, which returns its handle's bytes."""
    if value is None:
        return b"N"
    if value is True or value is False:
        return b"T" if value else b"F"
    if isinstance(value, int):
        return sized(b"i", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))
    if isinstance(value, float):
        return sized(b"f", float.hex(value).encode())
    if isinstance(value, str):
        return sized(b"u", value.encode("utf-8", "surrogatepass"))
    if isinstance(value, (bytes, bytearray)):
        return sized(b"b" if isinstance(value, bytes) else b"a", bytes(value))
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if name in REDUCED and getattr(value, "tzinfo", None) is None:  # a time in a zone is no plain value
        return sized(b"k", name.encode()) + pack(REDUCED[name](value), export)
    for kind, tag in SEQUENCES:
        if isinstance(value, kind):
            return several(tag, value, export)
    if isinstance(value, dict):
        return several(b"d", [part for item in value.items() for part in item], export)
    return export(value)


def sized(tag, data):
    return tag + len(data).to_bytes(8, "little") + data


def several(tag, values, export):
    parts = [pack(value, export) for value in values]
    return tag + len(parts).to_bytes(8, "little") + b"".join(parts)


class Reader:
    """Builds the values of one frame; `handle` makes what stands for an object of the other process."""

    def __init__(self, data, handle):
        self.data, self.at, self.handle = data, 0, handle

    def take(self, count):
        self.at += count
        if count < 0 or self.at > len(self.data):
            raise ValueError("a frame ends too early")
        return self.data[self.at - count : self.at]

    def value(self):
        tag = self.take(1)
        if tag in b"NTF":
            return {b"N": None, b"T": True, b"F": False}[tag]
        size = int.from_bytes(self.take(8), "little")
        if tag in BUILD:
            return BUILD[tag]([self.value() for _ in range(size)])
        if tag == b"d":
            parts = [self.value() for _ in range(size)]
            return dict(zip(parts[::2], parts[1::2], strict=True))
        data = self.take(size)
        if tag == b"i":
            return int.from_bytes(data, "little", signed=True)
        if tag == b"f":
            return float.fromhex(data.decode())
        if tag == b"u":
            return data.decode("utf-8", "surrogatepass")
        if tag in b"ba":
            return data if tag == b"b" else bytearray(data)
        if tag == b"k":
            module, _, name = data.decode().rpartition(".")
            if f"{module}.{name}" not in REDUCED:
                raise ValueError("a frame names an unknown type")
            return getattr(__import__(module), name)(*self.value())
        return self.handle(tag, data.decode())


def frame(value):
    """A value as the runner reads it from standard input."""
    data = pack(value, None)
    return len(data).to_bytes(8, "little") + data


def read_exactly(descriptor, size):
    parts = []
    while size:
        part = os.read(descriptor, min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_frame(descriptor):
    size = int.from_bytes(read_exactly(descriptor, 8), "little")
    if size > MAX_FRAME:
        raise MemoryError("a frame is too large")
    return read_exactly(descriptor, size)


def write_frame(descriptor, data):
    view = memoryview(len(data).to_bytes(8, "little") + data)
    while view:
        view = view[os.write(descriptor, view) :]
