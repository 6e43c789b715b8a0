"""How laws are tried on hostile input: a few seeded examples in every run of the tests, minutes of them by `make fuzz`.

A law says with `@pytest.mark.fuzzed("tables")` which kind of input it is about. `HIERROUTER_FUZZ_SECONDS` is how long
each kind is tried, in equal parts for its laws; without it, the few examples of a law are tried once.
"""

import itertools
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from hierrouter_jax.errors import InputError
from hierrouter_jax.sums import STEP_MARK, SUMS

SECONDS = float(os.environ.get("HIERROUTER_FUZZ_SECONDS", "0"))
PATIENCE = 60  # seconds that one example may take before it counts as a hang
SHARES: dict[str, float] = {}  # seconds of each law that was collected, by its node id; tests/conftest.py fills it


def shares(kinds: Mapping[str, str], seconds: float) -> dict[str, float]:
    """The seconds of each law, where each kind has the same time and its laws have equal parts of it.

    Args:
      kinds: kind of each law.
      seconds: time of each kind.
    """
    laws = Counter(kinds.values())
    return {law: seconds / laws[kind] for law, kind in kinds.items()}


def end_of_time() -> float:
    """When the law of the test that runs now has had its time, by the monotonic clock.

    Raises:
      KeyError: if the test names no kind, so that it has no share.
    """
    test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]  # behind it: (call)
    return time.monotonic() + SHARES[test]


def fuzz(law: Callable[..., None], *strategies: st.SearchStrategy, examples: int = 30) -> None:
    """Try a law on seeded examples, again and again with other seeds while there is time."""
    end = end_of_time()
    phases = [Phase.generate, Phase.shrink] if SECONDS else [Phase.generate]
    for number in itertools.count():

        @seed(number)
        @settings(
            max_examples=examples if not SECONDS else max(100, examples),
            database=None,
            deadline=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        )
        @given(st.tuples(*strategies))
        def tried(values: tuple) -> None:
            with no_hang():
                law(*values)

        tried()
        if time.monotonic() >= end:
            return


@contextmanager
def no_hang(seconds: int = PATIENCE) -> Iterator[None]:
    """Fail where what is inside takes longer."""

    def late(*_: object) -> None:
        raise AssertionError(f"hangs: not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def flips(folder: Path, load: Callable[[], Any], rng: np.random.Generator, count: int) -> dict[str, int]:
    """Change one byte at a time and hold the law: the load is refused by name, or gives what it gave before.

    Args:
      folder: folder whose files are changed, and mended again.
      load: function that reads them and gives what can be compared.
      rng: source of the places and the bytes.
      count: number of changes.

    Returns:
      Number of changes that were refused, and number that left the values as they were.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    before, seen = load(), {"refused": 0, "unchanged": 0}
    for _ in range(count):
        path = paths[rng.integers(len(paths))]
        content = path.read_bytes()
        if not content:
            continue
        at, change = int(rng.integers(len(content))), int(rng.integers(1, 256))
        where = f"{path.relative_to(folder)}: byte {at} xor {change}"
        path.write_bytes(content[:at] + bytes([content[at] ^ change]) + content[at + 1 :])
        try:
            with no_hang():
                after = load()
        except InputError as error:
            message = str(error)
            assert any(name in message for name in names_of(path)), f"{where}: refused as {message}"
            seen["refused"] += 1
        else:
            assert after == before, f"{where}: accepted, and the values differ"
            seen["unchanged"] += 1
        finally:
            path.write_bytes(content)
    assert load() == before
    return seen


def names_of(path: Path) -> list[str]:
    """What a message may call a file: its path, that of its folder's sums, or of the checkpoint that it is part of."""
    step = [f"{one}" for one in path.parents if (one / STEP_MARK).is_file()]
    learner = [f"{Path(one).parent}" for one in step]
    return [str(path), SUMS, *step, *learner]


def while_time(rounds: Callable[[int], None]) -> None:
    """Do something once, or again with other seeds while there is time."""
    end = end_of_time()
    for number in itertools.count():
        rounds(number)
        if time.monotonic() >= end:
            return


ODD_TEXTS = [
    "",
    "\0",
    "\ud800",
    "\u202eevil\u202c",
    "a\u0301",
    "\uffff",
    "𝕬" * 50,
    "nan",
    "-1",
    "../../etc/passwd",
    "é",
]
ODD_BYTES = [text.encode("utf-8", "surrogatepass") for text in ODD_TEXTS]
ODD_BYTES += [
    b"NaN",
    b"-1",
    b"1e999",
    b'"',
    b",",
    b"\n",
    b"{",
    b"]",
    b"null",
    b"\xff\xfe",
    b"\r",
    b"[" * 2000,
    b"9" * 400,
]
ODD_NUMBERS = [0, -1, 1, 2**31, 2**63, 2**200, -(2**63), 0.1, -0.0, 1e308, -1e308, float("nan"), float("inf"), 5e-324]
odd_values: st.SearchStrategy = st.recursive(
    st.one_of(st.none(), st.booleans(), st.sampled_from(ODD_NUMBERS), st.sampled_from(ODD_TEXTS), st.text(max_size=8)),
    lambda inside: st.one_of(
        st.lists(inside, max_size=3),
        st.dictionaries(st.sampled_from([*ODD_TEXTS, "name", "kind"]), inside, max_size=3),
    ),
    max_leaves=5,
)


def places(value: Any, at: tuple = ()) -> Iterator[tuple]:
    """The paths to all values inside nested dictionaries and lists."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inside in items:
        yield from places(inside, (*at, key))


def changed(value: Any, at: tuple, new: Any) -> Any:
    """A copy with another value at a path; `...` takes the place away."""
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(at) == 1 and new is ...:
        del copy[at[0]]
    else:
        copy[at[0]] = changed(value[at[0]], at[1:], new)
    return copy


def with_odd_bytes(content: bytes, seed: int) -> bytes:
    """The content with bytes changed, taken out, doubled or put in, at one to three places."""
    rng, odd = random.Random(seed), bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(odd) + 1)
        odd[at : at + rng.choice([0, 0, 1, 5])] = rng.choice(ODD_BYTES)
    return bytes(odd)


def mutations(value: Any, most: int = 3) -> st.SearchStrategy:
    """Copies of plain data in which up to `most` values are odd or gone."""
    known = list(places(value))[1:]

    def apply(edits: list[tuple[tuple, Any]]) -> Any:
        copy = value
        for at, new in edits:
            try:
                copy = changed(copy, at, new)
            except (KeyError, IndexError, TypeError, ValueError):
                continue  # an earlier edit took the place away
        return copy

    edit = st.tuples(st.sampled_from(known), st.one_of(odd_values, st.just(...)))
    return st.lists(edit, min_size=1, max_size=most).map(apply)
