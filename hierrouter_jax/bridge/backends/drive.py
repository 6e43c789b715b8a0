"""Driving a backend: batch by batch, or call by call with several under way; one gate before every call."""

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Protocol

from hierrouter_jax.bridge.backends.interface import Answers, Backend, Failure, Streaming
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Prompt

FIRST_CALLS = 8


class Doubt:
    """Refusals that are held back until it is known whose fault they are.

    A refusal is the call's own as soon as the endpoint has answered another call of the run. Where it refuses each of
    the run's first eight, or all where there are fewer, the run ends: its key, model name or settings are wrong. An
    endpoint that is away ends the run unless it answers one of the calls that are under way.

    Args:
      answered_before: whether an earlier run had an answer of this endpoint, so that fewer than eight refusals are
        the calls' own.

    Attributes:
      answered: whether it has answered a call of this run.
    """

    def __init__(self, answered_before: bool = False) -> None:
        self.answered, self._before = False, answered_before
        self._held: Answers = {}  # failures only

    @property
    def holds(self) -> bool:
        """Whether no further call should begin before those under way have ended."""
        return len(self._held) >= FIRST_CALLS or any(
            isinstance(failure, Failure) and failure.scope == "away" for failure in self._held.values()
        )

    def settle(self, answers: Answers, refused_before: frozenset = frozenset()) -> Answers:
        """The answers that are certain, of these and of those held back.

        Args:
          answers: answers to the calls that have just ended.
          refused_before: prompts whose refusal says nothing new, as an earlier run met it too.
        """
        if any(not isinstance(answer, Failure) for answer in answers.values()):
            self.answered = True
            certain = {**self._held, **answers}
            self._held.clear()
            return certain
        doubtful = {
            prompt: failure
            for prompt, failure in answers.items()
            if isinstance(failure, Failure)
            and (
                failure.scope == "away"
                or (failure.scope == "refused" and not self.answered and prompt not in refused_before)
            )
        }
        self._held |= doubtful
        return {prompt: answer for prompt, answer in answers.items() if prompt not in doubtful}

    def remaining(self) -> Answers:
        """The refusals that are still held back when no call is under way and none will begin.

        Raises:
          InputError: with the first one's reason, where it is every call's.
        """
        held, self._held = self._held, {}
        reasons = [failure for failure in held.values() if isinstance(failure, Failure)]
        away = [failure for failure in reasons if failure.scope == "away"]
        if away or len(reasons) >= FIRST_CALLS or (reasons and not self._before):
            raise InputError((away or reasons)[0].reason)
        return held


_MOMENT = 0.2  # seconds between two looks at a gate that is closed


class Gate(Protocol):
    """What lets calls begin and hears of their end."""

    def begin(self, batch: Sequence[Prompt], under_way: int) -> bool:
        """Whether these calls may begin now; False is "ask again".

        Whatever it raises ends the job: no further call begins, those under way end and are handed on, then it is
        raised.

        Args:
          batch: the calls: a streaming backend's are asked for one by one.
          under_way: how many calls have begun and not ended.
        """
        ...

    def end(self, answers: Answers) -> None:
        """Calls that have ended just now, whatever came of them."""
        ...


class OpenGate:
    """A gate through which every call may pass."""

    def begin(self, batch: Sequence[Prompt], under_way: int) -> bool:
        return True

    def end(self, answers: Answers) -> None:
        pass


OPEN = OpenGate()


def drive(
    backend: Backend,
    batches: Iterable[Sequence[Prompt]],
    doubt: Doubt,
    gate: Gate = OPEN,
    refused_before: frozenset[Prompt] = frozenset(),
) -> Generator[Answers, None, None]:
    """Answers to all prompts, part by part: a batch's together, a streaming backend's as they come.

    A part may be empty: the caller then learns that time has passed.

    Args:
      backend: the backend to call.
      batches: distinct prompts; a streaming backend takes them one by one, whatever batch they are of.
      doubt: the doubt about this backend, the same one from use to use.
      gate: asked before each batch or, of a streaming backend, each call.
      refused_before: prompts that the backend refused in an earlier run, too.

    Raises:
      InputError: where the backend refuses all calls, or is away; whatever the gate raises, or a backend.
    """
    work = _Work(batches, doubt, gate, backend if isinstance(backend, Streaming) else None)
    parts = _each(backend, iter(work)) if isinstance(backend, Streaming) else _batch_by_batch(backend, iter(work))
    with closing(parts):
        for answers in parts:
            work.under_way -= len(answers)
            gate.end(answers)
            yield doubt.settle(answers, refused_before)
    if left := doubt.remaining():
        yield left
    if work.stopped_by is not None:
        raise work.stopped_by


class _Work:
    """The batches that may begin, one after the other; None where the next one may not yet.

    Attributes:
      under_way: calls that have begun and not ended.
      stopped_by: what the gate raised.
    """

    def __init__(
        self, batches: Iterable[Sequence[Prompt]], doubt: Doubt, gate: Gate, streaming: Streaming | None
    ) -> None:
        self._batches = ([prompt] for batch in batches for prompt in batch) if streaming else batches
        self._streaming = streaming
        self._doubt, self._gate = doubt, gate
        self.under_way = 0
        self.stopped_by: Exception | None = None

    def __iter__(self) -> Iterator[Sequence[Prompt] | None]:
        for batch in self._batches:
            while not self._begins(batch):
                if self.stopped_by is not None or (self._doubt.holds and not self.under_way):
                    return
                yield None
            self.under_way += len(batch)
            yield batch

    def _begins(self, batch: Sequence[Prompt]) -> bool:
        if self._doubt.holds:
            return False
        try:
            return self._gate.begin(batch, self.under_way)
        except Exception as error:
            self.stopped_by = error
            if self._streaming is not None:
                self._streaming.hurry()
            return False


def _each(backend: Streaming, work: Iterator[Sequence[Prompt] | None]) -> Generator[Answers, None, None]:
    return backend.generate_each(None if batch is None else batch[0] for batch in work)


def _batch_by_batch(backend: Backend, work: Iterator[Sequence[Prompt] | None]) -> Generator[Answers, None, None]:
    for batch in work:
        if batch is None:
            time.sleep(_MOMENT)
            yield {}
        else:
            yield dict(zip(batch, backend.generate(batch), strict=True))
