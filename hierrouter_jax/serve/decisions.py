"""Decisions of the policy for all requests that wait for one, encoded and computed together."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from hierrouter_jax.bridge.encoders import Encoder
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.outcomes.table import Context

_LONG = 20_000  # characters that take so long to encode that the event loop must not wait for them


class State(NamedTuple):
    """What one decision is about.

    Attributes:
      context: query and responses so far, as the router reads them.
      stage: number of hops done.
      cost: money spent on them.
      cost_weight: cost weight that a cost-conditioned policy is to serve; None is its own.
      budget: largest cost of the whole route; None is without limit.
      charges: largest charge of each model's call now, [M]; None without a budget.
    """

    context: Context
    stage: int
    cost: float
    cost_weight: float | None
    budget: float | None
    charges: Float[np.ndarray, " M"] | None


class Reading(NamedTuple):
    """What the policy makes of a state.

    Attributes:
      embedding: what the encoder made of the context, [E] float32.
      logits: logits over the M models and STOP, [A]; -inf where an action is impossible.
    """

    embedding: Float[np.ndarray, " E"]
    logits: Float[np.ndarray, " A"]


class Decider:
    """Reads states by a policy; those that come while one is read, or in the same moment, are read together.

    Args:
      bundle: bundle of the policy.
      encoder: encoder of the bundle.
    """

    def __init__(self, bundle: PolicyBundle, encoder: Encoder) -> None:
        self._bundle, self._encoder = bundle, encoder
        self._quick = encoder.spec.get("kind") == "ngrams"
        self._waiting: list[tuple[State, asyncio.Future[Reading]]] = []
        self._work: asyncio.Task | None = None

    async def read(self, state: State) -> Reading:
        """What the policy makes of a state."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((state, future))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._read_all())
        return await future

    async def _read_all(self) -> None:
        while self._waiting:
            batch = [pair for pair in self._waiting if not pair[1].done()]
            self._waiting = []
            states = [state for state, _ in batch]
            try:
                long = sum(len(s.context.query) + sum(map(len, s.context.responses)) for s in states) > _LONG
                embedding = (
                    await asyncio.to_thread(self._encode, states) if long or not self._quick else self._encode(states)
                )
                readings = readings_of(self._bundle, states, embedding)
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), reading in zip(batch, readings, strict=True):
                if not future.done():
                    future.set_result(reading)

    def _encode(self, states: Sequence[State]) -> Float[np.ndarray, "B E"]:
        return self._encoder.encode([state.context for state in states])


def readings_of(bundle: PolicyBundle, states: Sequence[State], embedding: Float[np.ndarray, "B E"]) -> list[Reading]:
    """What a policy makes of states, those of one stage and one set of conditions together.

    Args:
      bundle: bundle of the policy.
      states: the B states.
      embedding: embeddings of their contexts.
    """
    groups: dict[tuple, list[int]] = {}
    for row, state in enumerate(states):
        groups.setdefault((state.stage, state.cost_weight, state.budget is None), []).append(row)
    readings: dict[int, Reading] = {}
    for (stage, cost_weight, unlimited), rows in groups.items():
        cost = np.array([states[row].cost for row in rows])
        limits = (
            ()
            if unlimited
            else (np.array([states[row].budget for row in rows]), np.array([states[row].charges for row in rows]))
        )
        logits = bundle.logits(embedding[rows], stage, cost, cost_weight, *limits)
        readings |= {row: Reading(embedding[row], its) for row, its in zip(rows, logits, strict=True)}
    return [readings[row] for row in range(len(states))]


def softmax(logits: Float[np.ndarray, " A"]) -> Float[np.ndarray, " A"]:
    """Probabilities of the actions, 0 of impossible ones; at least one must be possible."""
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()
