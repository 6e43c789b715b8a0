"""Asking backends: each distinct call once, kept as it ends; none begins against the budget or in a pause."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

from tqdm import tqdm

from hierrouter_jax.bridge.backends import Answers, Backend, Doubt, Failure, drive
from hierrouter_jax.bridge.backends.interface import Greedy, Streaming
from hierrouter_jax.bridge.cache import CallCache, call_key
from hierrouter_jax.bridge.collect.budget import Budget, BudgetReached, Meter
from hierrouter_jax.errors import InputError, Unfinished
from hierrouter_jax.interrupts import Interruption
from hierrouter_jax.outcomes.table import Prompt

_GIVE_UP = 100  # calls that fail one after the other, after which an endpoint is taken to be down
PAUSE = "pause"  # a file beside the call cache


class CallsFailed(Unfinished):
    """Calls failed, and the user has not said that the table may be written without them."""

    code = 4


class Calls:
    """All calls of a collection, in however many passes it asks for them.

    A local backend is called batch by batch. What a batch holds follows from what the passes ask for, not from what
    the cache knows: a batch that was made is found in the cache whole, so one that is made after a kill is the one that
    would have been made without it. That matters to models whose floating point depends a little on how prompts are
    padded beside each other. Only a batch of which some calls failed, or were kept by another collection, is made anew
    in part. A streaming backend has calls under way without any such barrier.

    What has ended is one transaction of the cache: a batch, or the calls that ended in the same moment.

    Of endpoints that decode greedily and differ in `max_new_tokens` alone, a response that ended by itself below the
    limit of both is the response of both: it is asked for once.

    While there is a file `pause` beside the call cache no call begins: those under way end and are kept, then the
    collection waits until the file is gone.

    Args:
      backends: all backends that may be called.
      cache: call cache, which holds the calls of earlier runs and takes new ones.
      batch_size: calls of a local model generated at once; fewer where memory is short.
      budget: limits of cost and time; none by default.
      money_unit: money unit of the backends' prices.
      gives_up: whether to end after many failures in a row.

    Attributes:
      meter: count of what this run's calls cost.
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
        self._backends = tuple(backends)
        self.cache, self._batch_size, self._gives_up = cache, batch_size, gives_up
        self.meter = Meter(backends, cache, budget, money_unit)
        self.failures: dict[bytes, str] = {}
        self._pause: Path | None = cache.path and cache.path.parent / PAUSE
        self._interruption: Interruption | None = None
        self._doubts: dict[str, Doubt] = {}
        self._asked: set[bytes] = set()
        self._failed_in_a_row = 0

    def ask(self, backend: Backend, prompts: Sequence[Prompt]) -> Iterator[tuple[Answers, bool]]:
        """Answers to distinct prompts, part by part, each with whether this run called the model for it.

        A part may be empty, while calls are under way or the collection waits.

        Raises:
          BudgetReached: before a call that might pass the budget.
          CallsFailed: when nothing answers any more.
          InputError: if the backend refuses all calls, or is away.
          KeyboardInterrupt: at once, or of a streaming backend when the calls under way have ended; a second Ctrl-C
            ends it at once, too.
        """
        keys = {prompt: call_key(backend.identity, prompt) for prompt in prompts}
        failed = {prompt: Failure(self.failures[key]) for prompt, key in keys.items() if key in self.failures}
        known = self.cache.get_many(backend.identity, [prompt for prompt in prompts if prompt not in failed])
        known |= self._under_other_limits(backend, [prompt for prompt in prompts if prompt not in known])
        yield {**known, **failed}, False
        fresh = sorted((prompt for prompt, key in keys.items() if key not in self._asked), key=_length)
        chunks = (fresh[start : start + self._batch_size] for start in range(0, len(fresh), self._batch_size))
        over = known.keys() | failed.keys()
        batches = [batch for chunk in chunks if (batch := [prompt for prompt in chunk if prompt not in over])]
        if batches:
            for answers in self._call(backend, batches):
                yield answers, True
        self._asked.update(keys.values())  # not before: a pass that was stopped on the way asks for the rest again

    def _under_other_limits(self, backend: Backend, prompts: Sequence[Prompt]) -> Answers:
        """Responses that the same model gave with another `max_new_tokens`, and that it would give again."""
        if not (isinstance(backend, Greedy) and backend.family and prompts):
            return {}
        known: Answers = {}
        alike = {one.identity for one in self._backends if isinstance(one, Greedy) and one.family == backend.family}
        for identity in sorted(alike - {backend.identity}):
            for prompt, response in self.cache.get_many(identity, prompts).items():
                if response.finish_reason == "stop" and response.tokens_out < backend.max_new_tokens:
                    known[prompt] = response
        return known

    def _call(self, backend: Backend, batches: list[list[Prompt]]) -> Iterator[Answers]:
        identity = backend.identity
        if identity not in self._doubts:
            self._doubts[identity] = Doubt(answered_before=self.cache.spent(identity).calls > 0)
        again = self.cache.failed(identity, [prompt for batch in batches for prompt in batch])
        parts = drive(backend, batches, self._doubts[identity], _Gate(self, backend), again)
        ends_well = Interruption() if isinstance(backend, Streaming) else nullcontext()
        try:
            with ends_well as self._interruption, closing(parts):
                for answers in parts:
                    self._keep(backend, answers)
                    yield answers
        except BaseException:  # what was under way is given up, and asked for anew by whoever goes on
            del self._doubts[identity]
            self.meter.give_up(backend)
            raise
        self.check_not_down()

    def _keep(self, backend: Backend, answers: Answers) -> None:
        if answers:
            self.cache.put_many(backend.identity, answers)
        for prompt, answer in answers.items():
            failed = isinstance(answer, Failure)
            self._failed_in_a_row = self._failed_in_a_row + 1 if failed else 0
            if failed:
                self.failures[call_key(backend.identity, prompt)] = answer.reason

    def reasons(self, most: int = 3) -> str:
        """Why calls failed in this run, the commonest reasons first, with how often."""
        counts = Counter(self.failures.values()).most_common()
        shown = [f"{count} x {reason}" for reason, count in counts[:most]]
        return "; ".join(shown + [f"{len(counts) - most} more reasons"] * (len(counts) > most))

    def check_not_down(self) -> None:
        """Refuse another call after too many that failed, one after the other.

        Raises:
          CallsFailed: saying why they failed.
        """
        if self._gives_up and self._failed_in_a_row >= _GIVE_UP:
            raise CallsFailed(f"gave up after {self._failed_in_a_row} calls failed in a row ({self.reasons()})")

    @property
    def paused(self) -> bool:
        """Whether no call may begin, as somebody asked for a pause."""
        return self._pause is not None and self._pause.exists()

    @property
    def waits_for(self) -> str:
        """Why no call begins now, for a person; empty as a rule."""
        first = f"{self.meter.under_way} calls under way end first"
        if self._interruption is not None and self._interruption.pending:
            return f"stopping: {first}; Ctrl-C again stops at once"
        if self.paused:
            return f"paused while there is {self._pause}" + (f", {first}" if self.meter.under_way else "")
        return ""

    def may_begin(self, backend: Backend, batch: Sequence[Prompt]) -> bool:
        """Whether calls may begin now: then they are counted as under way.

        Raises:
          Interrupted: after Ctrl-C.
          CallsFailed: after too many that failed, one after the other.
          BudgetReached: if they might pass the budget whatever comes of those under way.
        """
        if self._interruption is not None:
            self._interruption.check()
        if self.paused:
            self.meter.pause()
            return False
        self.check_not_down()
        try:
            self.meter.begin(backend, batch)
        except BudgetReached:
            if self.meter.under_way:  # they may cost less than they might
                return False
            raise
        return True


class _Gate:
    """What the calls of a backend must pass."""

    def __init__(self, calls: Calls, backend: Backend) -> None:
        self._calls, self._backend = calls, backend

    def begin(self, batch: Sequence[Prompt], under_way: int) -> bool:
        return self._calls.may_begin(self._backend, batch)

    def end(self, answers: Answers) -> None:
        self._calls.meter.end(self._backend, answers)


def _length(prompt: Prompt) -> int:
    return len(prompt) if isinstance(prompt, str) else sum(len(turn.content) for turn in prompt)


class HopBar:
    """A bar over hops; those that cost no call, from the cache, do not count in its rate and time left.

    Args:
      hops: number of hops in all.
      calls: the collection's calls: what they cost, and why none begins.
      shown: whether there is a bar at all.
    """

    def __init__(self, hops: int, calls: Calls, shown: bool) -> None:
        self._calls, self._waits_for = calls, ""
        self._bar = tqdm(total=hops, unit="hop", disable=not shown, smoothing=0, dynamic_ncols=True)

    def describe(self, text: str) -> None:
        """Say what is being done."""
        self._bar.set_description(text)

    def done(self, hops: int, called: bool) -> None:
        """Hops that now have an outcome, by calls of this run or known before."""
        if self._bar.disable:
            return
        waits_for = self._calls.waits_for
        if not hops and waits_for == self._waits_for:
            return
        if not called:
            self._bar.initial += hops
        meter, self._waits_for = self._calls.meter, waits_for
        rate = f"{meter.tokens_out / meter.seconds:,.0f} tok/s, " if meter.seconds else ""
        earlier = f" + {meter.earlier:.4g} before" if meter.earlier else ""
        failed = f", {meter.failed} failed" if meter.failed else ""
        waits = f"; {waits_for}" if waits_for else ""
        self._bar.set_postfix_str(f"{rate}cost {meter.cost:.4g}{earlier}{failed}{waits}", refresh=not hops)
        self._bar.update(hops)

    def lost(self, hops: int) -> None:
        """Hops that cannot be made, as the one before failed."""
        if not self._bar.disable:
            self._bar.total -= hops

    def close(self) -> None:
        self._bar.close()


@contextmanager
def hop_bar(hops: int, calls: Calls, shown: bool) -> Iterator[HopBar]:
    bar = HopBar(hops, calls, shown)
    try:
        yield bar
    finally:
        bar.close()
