"""How many seconds calls take: as they were measured, or by a model's stated rate, or by the device's arithmetic."""

from typing import NamedTuple

from hierrouter_jax.bridge.plan.assumptions import Assumptions
from hierrouter_jax.bridge.plan.measured import Measured


class Work(NamedTuple):
    """What so many calls of a model do: tokens read and written, and floating point operations of both."""

    calls: float
    tokens_in: float
    tokens_out: float
    reading_flops: float
    writing_flops: float


def seconds(work: Work, model: str, hop: int, assumptions: Assumptions, measured: Measured | None) -> float:
    """Seconds that calls of a model at a hop take, one after the other or as many at once as their collection has.

    Args:
      work: the calls.
      model: its name.
      hop: from 1; 0 of a model beside the pool.
      assumptions: rates of models, and the device.
      measured: where the model was timed, a call takes as long as there; longer or shorter as it writes more or less.
    """
    calls = None if measured is None else measured.of(model, hop)
    if calls is not None:
        longer = work.tokens_out / (work.calls * calls.mean_tokens) if work.calls and calls.mean_tokens else 1.0
        return work.calls * calls.seconds_per_call * longer
    if model in assumptions.rates:
        rate = assumptions.rates[model]
        return work.tokens_in / rate.read + work.tokens_out / rate.written
    operations = (
        work.reading_flops / assumptions.reading_utilisation + work.writing_flops / assumptions.writing_utilisation
    )
    return operations / assumptions.peak_flops
