"""What a collection may cost in money and hours, and the meter that stops it before it costs more."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from hierrouter_jax.bridge.backends import Backend, Failure, Generation
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.domains import POSITIVE, Domains, check_domains
from hierrouter_jax.errors import Unfinished
from hierrouter_jax.outcomes.context import Prompt


class BudgetReached(Unfinished):
    """The next batch might have passed the budget, so it was not made."""

    code = 3


@dataclass(frozen=True)
class Budget:
    """Limits of a collection.

    Attributes:
      max_cost: of all its calls, those of earlier runs with the same call cache included, in the pool's money unit.
      max_hours: of this run's calls.

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


class Meter:
    """Counts what calls cost, and refuses a batch that might pass the budget.

    A failed call is charged its prompt, as nobody knows whether its maker will.

    Args:
      backends: all that may be called.
      cache: tells what earlier runs paid for.
      money_unit: of the backends' prices.
      clock: seconds that pass.

    Attributes:
      calls, failed: made by this run; the latter gave no response.
      cost: of this run, in the money unit.
      earlier: cost of earlier runs, at today's prices.
      tokens_out: written by this run's calls.
      seconds: that this run spent in calls.
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
        self.calls, self.failed, self.tokens_out, self.cost, self.seconds = 0, 0, 0, 0.0, 0.0
        self._slowest: dict[str, float] = {}  # seconds a call, by the model's identity
        self.earlier = 0.0
        for backend in {backend.identity: backend for backend in backends}.values():
            spent, price = cache.spent(backend.identity), backend.price
            self.earlier += spent.tokens_in * price.price_in + spent.tokens_out * price.price_out

    @property
    def total(self) -> float:
        """Cost of all runs, in the money unit."""
        return self.earlier + self.cost

    def check(self, backend: Backend, batch: Sequence[Prompt]) -> None:
        """Refuse a batch whose largest charge, or whose likely time, might pass the budget.

        Its likely time is that of the model's slowest batch so far; before there was one, any batch may be made while
        there is time left.

        Raises:
          BudgetReached: saying what was spent and what the batch needs.
        """
        if self._budget.max_cost is not None:
            price = backend.price
            read, written = sum(backend.count_tokens(batch)), backend.max_new_tokens * len(batch)
            needed = self.total + read * price.price_in + written * price.price_out
            if needed > self._budget.max_cost:
                raise BudgetReached(
                    f"stopped before --max_cost {self._budget.max_cost:g}: {self.total:.6g} {self._unit} are spent, "
                    f"{self.cost:.6g} of them by this run, and the next {len(batch)} calls of {backend.name} may take "
                    f"that to {needed:.6g}"
                )
        if self._budget.max_hours is not None:
            hours = (self._clock() - self._start) / 3600
            likely = self._slowest.get(backend.identity, 0.0) * len(batch) / 3600
            if hours + likely >= self._budget.max_hours:
                raise BudgetReached(
                    f"stopped before --max_hours {self._budget.max_hours:g}: {hours:.3g} hours are over, and the next "
                    f"{len(batch)} calls of {backend.name} take about {likely:.2g}"
                )

    def count(
        self, backend: Backend, batch: Sequence[Prompt], answers: Sequence[Generation | Failure], seconds: float
    ) -> None:
        """Add a batch that was made."""
        price = backend.price
        lost = [prompt for prompt, answer in zip(batch, answers, strict=True) if isinstance(answer, Failure)]
        made = [answer for answer in answers if isinstance(answer, Generation)]
        read = sum(answer.tokens_in for answer in made) + (sum(backend.count_tokens(lost)) if lost else 0)
        written = sum(answer.tokens_out for answer in made)
        self.cost += read * price.price_in + written * price.price_out
        self.calls, self.failed = self.calls + len(batch), self.failed + len(lost)
        self.tokens_out, self.seconds = self.tokens_out + written, self.seconds + seconds
        slowest = self._slowest.get(backend.identity, 0.0)
        self._slowest[backend.identity] = max(slowest, seconds / len(batch))
