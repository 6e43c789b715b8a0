"""Driving a backend: batch by batch, or call by call with several under way; one gate before every call."""

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Protocol

from hierrouter_jax.bridge.backends.doubt import Doubt
from hierrouter_jax.bridge.backends.interface import Answers, Backend, Streaming
from hierrouter_jax.outcomes.context import Prompt

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
      backend: that is called.
      batches: distinct prompts; a streaming backend takes them one by one, whatever batch they are of.
      doubt: of the backend, kept from one use to the next.
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
            yield doubt.judged(answers, refused_before)
    if left := doubt.settled():
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
