"""Ctrl-C waits until it is asked for."""

import signal

from hierrouter_jax.interrupts import interrupts_put_off


def interrupted(times: int, asked: bool) -> list[str]:
    """What is reached when interrupts come."""
    reached = []
    try:
        with interrupts_put_off() as check:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
                reached.append("past the signal")
            if asked:
                check()
            reached.append("past the question")
        reached.append("past the end")
    except KeyboardInterrupt:
        reached.append("interrupt")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return reached


def test_an_interrupt_waits_until_it_is_asked_for():
    assert interrupted(0, asked=True) == ["past the question", "past the end"]
    assert interrupted(1, asked=True) == ["past the signal", "interrupt"]
    assert interrupted(1, asked=False) == ["past the signal", "past the question", "interrupt"]
    assert interrupted(2, asked=False) == ["past the signal", "interrupt"]
