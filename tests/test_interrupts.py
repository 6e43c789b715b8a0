"""Ctrl-C at a moment that the program chooses; signals are raised within this process."""
# ruff: noqa: PT012 (what comes after a signal is what is tested)

import signal
import threading
from collections.abc import Iterator

import pytest

from hierrouter_jax.interrupts import Interrupted, Interruption, interrupts_put_off, what_is_kept


@pytest.fixture(autouse=True)
def default_handler() -> Iterator[None]:
    """Python's own handler, which a process that was started in the background may lack."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_an_interrupt_is_put_off_to_the_end():
    notes, steps = [], []
    with pytest.raises(KeyboardInterrupt), interrupts_put_off(lambda: notes.append("put off")):
        press()
        steps.append("went on")
    assert (notes, steps) == (["put off"], ["went on"])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_comes_where_the_program_asks_for_it_and_a_second_one_at_once():
    for ask in (lambda check: check(), lambda check: press()):
        reached = []
        with pytest.raises(KeyboardInterrupt), interrupts_put_off() as check:
            check()
            press()
            ask(check)
            reached.append("too far")
        assert not reached


def test_nothing_is_put_off_outside_the_main_thread():
    handlers = []

    def run() -> None:
        with interrupts_put_off() as check, Interruption() as interruption:
            handlers.append(signal.getsignal(signal.SIGINT))
            check()
            interruption.check()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]


def test_the_first_interrupt_lets_no_further_call_begin():
    calls = []
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        interruption.check()
        calls.append("first")
        press()
        assert interruption.pending
        calls.append("the call goes on")
        with pytest.raises(Interrupted):
            interruption.check()
    assert calls == ["first", "the call goes on"]


def test_a_second_interrupt_is_not_only_noted():
    with pytest.raises(KeyboardInterrupt), Interruption():
        press()
        press()
        pytest.fail("the second one came through")


def test_an_error_of_its_own_is_not_replaced_by_the_interrupt():
    with pytest.raises(ZeroDivisionError), Interruption():
        press()
        raise ZeroDivisionError


@pytest.mark.parametrize(("own", "heard"), [((), "the calls"), (("three calls",), "three calls")])
def test_an_interrupt_says_what_is_kept_in_the_words_that_know_most(own, heard):
    with pytest.raises(KeyboardInterrupt, match=f"^{heard}$"), what_is_kept("the calls"):
        raise KeyboardInterrupt(*own)
