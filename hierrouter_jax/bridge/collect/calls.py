"""Asking backends: each distinct call once, batch by batch, every batch kept before the next one is made."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence

from hierrouter_jax.bridge.backends import Backend, Failure, Generation
from hierrouter_jax.bridge.cache import CallCache, call_key
from hierrouter_jax.bridge.collect.budget import Budget, Meter
from hierrouter_jax.errors import InputError, Unfinished
from hierrouter_jax.outcomes.context import Prompt

_GIVE_UP = 100  # calls that fail one after the other, after which an endpoint is taken to be down

Answers = dict[Prompt, Generation | Failure]


class CallsFailed(Unfinished):
    """Calls failed, and the user has not said that the table may be written without them."""

    code = 4


class Calls:
    """All calls of a collection, in however many passes it asks for them.

    What a batch holds follows from what the passes ask for, not from what the cache knows: a batch that was made is
    found in the cache whole, so one that is made after a kill is the one that would have been made without it. That
    matters to models whose floating point depends a little on how prompts are padded beside each other. Only a batch
    of which some calls failed, or were kept by another collection, is made anew in part.

    Args:
      backends: all that may be called.
      cache: calls that were made before, and where new ones go.
      batch_size: calls between two writes to the cache; fewer where memory is short.
      budget: none by default.
      money_unit: of the backends' prices.
      gives_up: whether to end after many failures in a row.

    Attributes:
      meter: what this run's calls cost.
      failures: reasons of the calls that failed in this run, by `call_key`.

    Raises:
      InputError: if `batch_size` is not at least 1.
    """

    def __init__(
        self,
        backends: Sequence[Backend],
        cache: CallCache,
        batch_size: int = 512,
        budget: Budget | None = None,
        money_unit: str = "price units",
        gives_up: bool = True,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}, but must be at least 1")
        self.cache, self._batch_size, self._gives_up = cache, batch_size, gives_up
        self.meter = Meter(backends, cache, budget, money_unit)
        self.failures: dict[bytes, str] = {}
        self._asked: set[bytes] = set()
        self._failed_in_a_row = 0

    def ask(self, backend: Backend, prompts: Sequence[Prompt]) -> Iterator[tuple[Answers, bool]]:
        """Answers to distinct prompts, part by part, each with whether this run called the model for it.

        Raises:
          BudgetReached: before a batch that might pass the budget.
          CallsFailed: when nothing answers any more.
        """
        keys = {prompt: call_key(backend.identity, prompt) for prompt in prompts}
        failed = {prompt: Failure(self.failures[key]) for prompt, key in keys.items() if key in self.failures}
        known = self.cache.get_many(backend.identity, [prompt for prompt in prompts if prompt not in failed])
        yield {**known, **failed}, False
        fresh = sorted((prompt for prompt, key in keys.items() if key not in self._asked), key=_length)
        self._asked.update(keys.values())
        for start in range(0, len(fresh), self._batch_size):
            batch = [prompt for prompt in fresh[start : start + self._batch_size] if prompt not in known]
            if batch:
                yield self._make(backend, batch), True

    def _make(self, backend: Backend, batch: list[Prompt]) -> Answers:
        self.meter.check(backend, batch)
        started = time.perf_counter()
        generations = backend.generate(batch)
        answers = dict(zip(batch, generations, strict=True))
        self.cache.put_many(backend.identity, answers)
        self.meter.count(backend, batch, generations, time.perf_counter() - started)
        for prompt, answer in answers.items():
            failed = isinstance(answer, Failure)
            self._failed_in_a_row = self._failed_in_a_row + 1 if failed else 0
            if failed:
                self.failures[call_key(backend.identity, prompt)] = answer.reason
        if self._gives_up and self._failed_in_a_row >= _GIVE_UP:
            raise CallsFailed(f"gave up after {self._failed_in_a_row} calls failed in a row ({self.reasons()})")
        return answers

    def reasons(self, most: int = 3) -> str:
        """Why calls failed in this run, the commonest reasons first, with how often."""
        counts = Counter(self.failures.values()).most_common()
        shown = [f"{count} x {reason}" for reason, count in counts[:most]]
        return "; ".join(shown + [f"{len(counts) - most} more reasons"] * (len(counts) > most))


def _length(prompt: Prompt) -> int:
    return len(prompt) if isinstance(prompt, str) else sum(len(turn.content) for turn in prompt)
