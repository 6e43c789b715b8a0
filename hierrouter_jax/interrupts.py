"""Ctrl-C at a moment that the program chooses."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


@contextmanager
def interrupts_put_off(notify: Callable[[], None] = lambda: None) -> Iterator[Callable[[], None]]:
    """Yield a function that raises the KeyboardInterrupt that has come meanwhile; leaving raises it, too.

    JAX calls Python where an interrupt would be swallowed, and Orbax would be left half-way through a step. A second
    interrupt is not put off. Nothing is where somebody else handles interrupts, or outside the main thread.

    Args:
      notify: function that is called when an interrupt is put off, so that the user can be informed.
    """
    came = False

    def note(*_: object) -> None:
        nonlocal came
        check()
        came = True
        notify()

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield check
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    check()


class Interrupted(Exception):
    """Ctrl-C, as what lets no further call begin."""


class Interruption:
    """While inside, the first Ctrl-C is only noted; the second raises KeyboardInterrupt where it finds the program.

    Outside the main thread, and where the signal is ignored, nothing is changed.

    Attributes:
      pending: whether there was a Ctrl-C.
    """

    def __init__(self) -> None:
        self.pending = False
        self._before: Any = None

    def __enter__(self) -> "Interruption":
        here = threading.current_thread() is threading.main_thread()
        if here and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self.pending and (kind is None or kind is Interrupted):
            raise KeyboardInterrupt from None

    def check(self) -> None:
        """Let no further call begin after a Ctrl-C.

        Raises:
          Interrupted: after a Ctrl-C; a KeyboardInterrupt outside.
        """
        if self.pending:
            raise Interrupted

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pending:
            raise KeyboardInterrupt
        self.pending = True


@contextmanager
def what_is_kept(words: str) -> Iterator[None]:
    """While inside, a Ctrl-C that says nothing itself says what is kept, so that the same command goes on from there.

    Raises:
      KeyboardInterrupt: with its own words, or else with these.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(str(interrupt) or words) from None
