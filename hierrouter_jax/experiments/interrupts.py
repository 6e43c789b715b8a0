"""Ctrl-C at a moment of our choosing."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_put_off(told: Callable[[], None] = lambda: None) -> Iterator[Callable[[], None]]:
    """Yield a function that raises the KeyboardInterrupt that has come meanwhile; leaving raises it, too.

    JAX calls Python where an interrupt would be swallowed, and Orbax would be left half-way through a step. A second
    interrupt is not put off. Nothing is where somebody else handles interrupts, or outside the main thread.

    Args:
      told: called when an interrupt is put off, so that the user can be told.
    """
    came = False

    def note(*_: object) -> None:
        nonlocal came
        check()
        came = True
        told()

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield check
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    check()
