"""How one query was routed: its hops, each with what was chosen, said and paid."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from hierrouter_jax.bridge.backends.interface import Backend, Generation
from hierrouter_jax.outcomes.table import Context


@dataclass(frozen=True)
class Hop:
    """One model call.

    Attributes:
      model: name of the model.
      response: text of its response.
      tokens_in, tokens_out: tokens of the prompt and of the response, as metered.
      cost: tokens times prices, in the pool's money unit.
      probability: probability that the policy gave to this model.
      trimmed_tokens: tokens of the oldest responses that did not fit the model's context window.
      seconds: seconds that the call took; of a batch, its seconds over its size.
      finish_reason: reason why the response ends, such as `stop` or `length`.
      probabilities: probabilities that the policy gave to each model and, last, to STOP; 0 where it was impossible.
      propensity: probability with which this model was chosen: 1 unless the policy is served with exploration.
    """

    model: str
    response: str
    tokens_in: int
    tokens_out: int
    cost: float
    probability: float
    trimmed_tokens: int = 0
    seconds: float = 0.0
    finish_reason: str = ""
    probabilities: tuple[float, ...] = ()
    propensity: float = 1.0


@dataclass(frozen=True)
class Transcript:
    """How one query was routed.

    Attributes:
      query_id, query: the query's id and text.
      hops: model calls in order; at least one, unless it failed.
      stopped: whether the route ended by STOP, rather than reach the horizon.
      budget: largest cost that it was allowed, in the pool's money unit; None where there was no limit.
      failed: why the call after the last hop gave no response, and which model's it was; empty as a rule.
    """

    query_id: str
    query: str
    hops: tuple[Hop, ...]
    stopped: bool
    budget: float | None = None
    failed: str = ""

    @property
    def answer(self) -> str:
        """The last response; empty where there is none."""
        return self.hops[-1].response if self.hops else ""

    @property
    def route(self) -> tuple[str, ...]:
        """The names of the models that were called, in order."""
        return tuple(hop.model for hop in self.hops)

    @property
    def cost(self) -> float:
        """Of all hops, in the pool's money unit."""
        return sum(hop.cost for hop in self.hops)

    @property
    def tokens_in(self) -> int:
        """Tokens that all hops read."""
        return sum(hop.tokens_in for hop in self.hops)

    @property
    def tokens_out(self) -> int:
        """Tokens that all hops wrote."""
        return sum(hop.tokens_out for hop in self.hops)

    @property
    def seconds(self) -> float:
        """Seconds of all calls together."""
        return sum(hop.seconds for hop in self.hops)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data, answer and cost included."""
        return {**asdict(self), "hops": [asdict(hop) for hop in self.hops], "answer": self.answer, "cost": self.cost}


def hop_of(
    backend: Backend, generation: Generation, probabilities: Float[np.ndarray, " A"], model: int, trimmed: int = 0
) -> Hop:
    """The hop that a call was.

    Args:
      backend: backend of the model that was called.
      generation: generation that it gave.
      probabilities: what the policy gave to each of the M models and STOP.
      model: place of the model in the pool.
      trimmed: tokens of earlier responses that did not fit.
    """
    return Hop(
        model=backend.name,
        response=generation.text,
        tokens_in=generation.tokens_in,
        tokens_out=generation.tokens_out,
        cost=backend.price.cost(generation.tokens_in, generation.tokens_out),
        probability=float(probabilities[model]),
        trimmed_tokens=trimmed,
        seconds=generation.latency,
        finish_reason=generation.finish_reason,
        probabilities=tuple(probabilities.tolist()),
    )


def so_far(initial: Context, hops: Sequence[Hop]) -> Context:
    """The context after these hops."""
    return initial._replace(responses=tuple(hop.response for hop in hops), models=tuple(hop.model for hop in hops))
