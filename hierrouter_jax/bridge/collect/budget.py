"""What a collection may cost in money and hours, and the meter that stops it before it costs more."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from hierrouter_jax.bridge.backends import Answers, Backend, Failure, Generation, NoTokenizer
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.prompts import as_text
from hierrouter_jax.domains import POSITIVE, Domains, check_domains
from hierrouter_jax.errors import Unfinished
from hierrouter_jax.outcomes.table import Prompt

CHARACTERS_PER_TOKEN = 4  # of a failed call's prompt, where no tokenizer can count it


class BudgetReached(Unfinished):
    """The next calls might have passed the budget, so they were not made."""

    code = 3


@dataclass(frozen=True)
class Budget:
    """Limits of a collection.

    Attributes:
      max_cost: largest cost of all its calls, those of earlier runs with the same call cache included, in the pool's
        money unit; calls that failed in earlier runs no longer count.
      max_hours: longest time of this run's calls; time in which the collection is paused does not count.

    Raises:
      InputError: if a limit is not a positive number.
    """

    DOMAINS: ClassVar[Domains] = {
        "max_cost": POSITIVE,
        "max_hours": POSITIVE,
    }

    max_cost: float | None = None
    max_hours: float | None = None

    def __post_init__(self) -> None:
        check_domains(self)


class _Begun(NamedTuple):
    """A call under way: when it began, how many began with it, and the most that it may cost."""

    at: float
    together: int
    largest: float


class Meter:
    """Counts what calls cost, and refuses those that might pass the budget.

    A failed call is charged its prompt, as nobody knows whether its maker will.

    Args:
      backends: all backends that may be called.
      cache: call cache, which holds what earlier runs paid for.
      money_unit: money unit of the backends' prices.
      clock: function that returns the time in seconds.

    Attributes:
      calls, failed: number of calls of this run, and of those that gave no response.
      cost: what this run has cost, in the money unit.
      earlier: cost of earlier runs, at today's prices; calls that failed in them no longer count.
      tokens_out: tokens that this run's calls wrote.
    """

    def __init__(
        self,
        backends: Sequence[Backend],
        cache: CallCache,
        budget: Budget | None = None,
        money_unit: str = "price units",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget, self._unit, self._clock, self._start = budget or Budget(), money_unit, clock, clock()
        self.calls, self.failed, self.tokens_out, self.cost = 0, 0, 0, 0.0
        self._busy, self._busy_since = 0.0, 0.0
        self._paused_since: float | None = None
        self._under_way: dict[tuple[str, Prompt], _Begun] = {}
        self._slowest: dict[str, float] = {}  # seconds a call, by the model's identity
        self.earlier = 0.0
        for backend in {backend.identity: backend for backend in backends}.values():
            spent = cache.spent(backend.identity)
            self.earlier += backend.price.cost(spent.tokens_in, spent.tokens_out)

    @property
    def total(self) -> float:
        """Cost of all runs, in the money unit."""
        return self.earlier + self.cost

    @property
    def under_way(self) -> int:
        """Calls that have begun and not ended."""
        return len(self._under_way)

    @property
    def seconds(self) -> float:
        """Time of this run in which at least one call was under way."""
        return self._busy + (self._clock() - self._busy_since if self._under_way else 0.0)

    def begin(self, backend: Backend, batch: Sequence[Prompt]) -> None:
        """Count calls as under way; refuse them if their largest charge, or likely time, might pass the budget.

        The largest charges of the calls under way count too. The likely time is that of the model's slowest call so
        far (of a batch: its share of the batch's); before there was one, any may be made while there is time left.

        Raises:
          BudgetReached: saying what was spent and what the calls need.
        """
        now = self._clock()
        self._go_on(now)
        largest = self._check_cost(backend, batch) / len(batch)
        self._check_hours(backend, batch, now)
        if not self._under_way:
            self._busy_since = now
        self._under_way |= {(backend.identity, prompt): _Begun(now, len(batch), largest) for prompt in batch}

    def pause(self) -> None:
        """Stop the clock of the budget until the next call begins, if none is under way."""
        if not self._under_way and self._paused_since is None:
            self._paused_since = self._clock()

    def end(self, backend: Backend, answers: Answers) -> None:
        """Count calls that were under way and have ended."""
        now = self._clock()
        lost = [prompt for prompt, answer in answers.items() if isinstance(answer, Failure)]
        responses = [answer for answer in answers.values() if isinstance(answer, Generation)]
        read = sum(answer.tokens_in for answer in responses) + sum(charged_tokens(backend, lost))
        written = sum(answer.tokens_out for answer in responses)
        self.cost += backend.price.cost(read, written)
        self.calls, self.failed = self.calls + len(answers), self.failed + len(lost)
        self.tokens_out += written
        for prompt in answers:
            begun = self._under_way.pop((backend.identity, prompt))
            slowest = self._slowest.get(backend.identity, 0.0)
            self._slowest[backend.identity] = max(slowest, (now - begun.at) / begun.together)
        if answers and not self._under_way:
            self._busy += now - self._busy_since

    def give_up(self, backend: Backend) -> None:
        """Count no call of a backend as under way any more, as nobody waits for those that are."""
        lost = [key for key in self._under_way if key[0] == backend.identity]
        for key in lost:
            del self._under_way[key]
        if lost and not self._under_way:
            self._busy += self._clock() - self._busy_since

    def _go_on(self, now: float) -> None:
        if self._paused_since is not None:
            self._start += now - self._paused_since
            self._paused_since = None

    def _check_cost(self, backend: Backend, batch: Sequence[Prompt]) -> float:
        """The most that the calls may cost; 0 where nothing limits it."""
        if self._budget.max_cost is None:
            return 0.0
        largest = backend.price.cost(sum(backend.count_tokens(batch)), backend.max_new_tokens * len(batch))
        needed = self.total + sum(begun.largest for begun in self._under_way.values()) + largest
        if needed > self._budget.max_cost:
            raise BudgetReached(
                f"stopped before --max_cost {self._budget.max_cost:g}: {self.total:.6g} {self._unit} are spent, "
                f"{self.cost:.6g} of them by this run, and the next {len(batch)} calls of {backend.name} may take "
                f"that to {needed:.6g}"
            )
        return largest

    def _check_hours(self, backend: Backend, batch: Sequence[Prompt], now: float) -> None:
        if self._budget.max_hours is None:
            return
        hours = (now - self._start) / 3600
        likely = self._slowest.get(backend.identity, 0.0) * len(batch) / 3600
        if hours + likely >= self._budget.max_hours:
            raise BudgetReached(
                f"stopped before --max_hours {self._budget.max_hours:g}: {hours:.3g} hours are over, and the next "
                f"{len(batch)} calls of {backend.name} take about {likely:.2g}"
            )


def charged_tokens(backend: Backend, prompts: Sequence[Prompt]) -> list[int]:
    """Tokens that failed calls are charged: those of their prompts, estimated where the backend cannot count them."""
    if not prompts:
        return []
    if counts_tokens(backend):
        return backend.count_tokens(prompts)
    return [math.ceil(len(as_text(prompt)) / CHARACTERS_PER_TOKEN) for prompt in prompts]


def counts_tokens(backend: Backend) -> bool:
    """Whether a backend can count the tokens of a prompt without a call."""
    try:
        backend.count_tokens([""])
    except NoTokenizer:
        return False
    return True
