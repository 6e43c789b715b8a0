"""Reward terms and their weights: any two reward shapings differ by numbers, not by code.

A term is a pure function of a `Hop`; the reward is the dot product of all terms and their weights. STOP is a hop that
calls no model: it costs nothing, leaves the answer as it is and ends the episode. A term of one's own is named by
import path in `RewardWeights.custom`.
"""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

from hierrouter_jax.domains import NONNEGATIVE, REAL, Domains, check_domains
from hierrouter_jax.outcomes.table import RIGHT
from hierrouter_jax.plugins import load_object

Scalar = Float[Array, ""] | float


@struct.dataclass
class RewardWeights:
    """Weight of each reward term: leaves, in whose place a sweep may put arrays.

    Every field is the weight of the term of that name in `TERMS`, whose docstring gives formula, unit and source;
    terms that are costs carry their minus sign, so weights are mostly positive. The paper's reward is terminal
    quality minus a weighted hop cost; it does not give the weight, ours is documented in `configs/`.

    Attributes:
      hop_cost: lambda, the cost weight. One per episode where a policy is conditioned on it: an array that
        broadcasts against the others.
      overrun_limit: not a weight: the cost of a route, over the cost normaliser, that `overrun` and `overrun_once`
        count from.
      custom: weights of the user's own terms by import path, such as `my_terms.py:short_answers`.
    """

    DOMAINS: ClassVar[Domains] = {
        "terminal_quality": REAL,
        "hop_cost": REAL,
        "potential": REAL,
        "quality_gain": REAL,
        "later_gain": REAL,
        "hop_quality": REAL,
        "verdict": REAL,
        "damage": REAL,
        "log_cost": REAL,
        "relative_cost": REAL,
        "overrun": REAL,
        "overrun_once": REAL,
        "stage": REAL,
        "length": REAL,
        "latency": REAL,
        "overrun_limit": NONNEGATIVE,
        "custom": REAL,
    }

    terminal_quality: float = 1.0
    hop_cost: float = 0.01
    potential: float = 0.0
    quality_gain: float = 0.0
    later_gain: float = 0.0
    hop_quality: float = 0.0
    verdict: float = 0.0
    damage: float = 0.0
    log_cost: float = 0.0
    relative_cost: float = 0.0
    overrun: float = 0.0
    overrun_once: float = 0.0
    stage: float = 0.0
    length: float = 0.0
    latency: float = 0.0
    overrun_limit: float = 1.0
    custom: dict[str, float] = struct.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_domains(self)


@struct.dataclass
class Hop:
    """What a term may look at: one hop, or any batch of them; every array broadcasts to [*B].

    Attributes:
      quality_before, quality_after: of answering before and after it, in [0, 1]; 0 where there is no answer yet.
      cost: of it, over the cost normaliser; 0 for STOP.
      spent: on the route with it, over the cost normaliser.
      cheapest_right: cost of the query's cheapest right route, over the cost normaliser; of its cheapest route at
        all where none is right.
      tokens: that the model wrote; 0 for STOP.
      seconds: that it took; 0 for STOP, and where the table holds no latencies.
      first: bool, whether it is the first of its route.
      terminal: bool, whether it ends the episode.
      stop: bool, whether it is STOP.
      overrun_limit: over the cost normaliser.
      gamma: discount of the return that is to be shaped.
    """

    quality_before: Float[Array, "*B"]
    quality_after: Float[Array, "*B"]
    cost: Float[Array, "*B"]
    spent: Float[Array, "*B"]
    cheapest_right: Float[Array, "*B"]
    tokens: Float[Array, "*B"]
    seconds: Float[Array, "*B"]
    first: Bool[Array, "*B"]
    terminal: Bool[Array, "*B"]
    stop: Bool[Array, "*B"]
    overrun_limit: Scalar
    gamma: Scalar = 1.0


Term = Callable[[Hop], Float[Array, "*B"]]


@partial(jax.jit, inline=True)  # outside a compiled function, fifteen terms would be dispatched operation by operation
def reward(hop: Hop, weights: RewardWeights) -> Float[Array, "*B"]:
    """Reward of a hop: the sum of weight times term.

    Raises:
      InputError: if a term of the user's own cannot be loaded.
    """
    terms = [getattr(weights, name) * term(hop) for name, term in TERMS.items()]
    own = [weight * load_object(path)(hop) for path, weight in weights.custom.items()]
    return sum(terms + own, jnp.zeros_like(hop.quality_after))


def terminal_quality(hop: Hop) -> Float[Array, "*B"]:
    """q(answer) once, at the end; quality, in [0, 1]. HierRouter's objective (arXiv 2511.09873)."""
    return hop.terminal * hop.quality_after


def hop_cost(hop: Hop) -> Float[Array, "*B"]:
    """-c of every hop; over the cost normaliser. HierRouter's objective (arXiv 2511.09873)."""
    return -hop.cost


def potential(hop: Hop) -> Float[Array, "*B"]:
    """gamma Phi(s') - Phi(s), Phi the quality of answering now and 0 at the end of the episode; quality.

    Leaves the best policy as it is for every weight, cost and gamma (Ng, Harada and Russell 1999, theorem 1).
    """
    return jnp.where(hop.terminal, 0.0, hop.gamma * hop.quality_after) - hop.quality_before


def quality_gain(hop: Hop) -> Float[Array, "*B"]:
    """q(after) - q(before), 0 before the first hop; quality. Ours.

    Not policy-invariant: over an episode it adds up to the final quality, so it rescales quality against cost.
    """
    return hop.quality_after - hop.quality_before


def later_gain(hop: Hop) -> Float[Array, "*B"]:
    """q(after) - q(before) from the second hop on; quality. DER's gain (arXiv 2412.07448), there times 5."""
    return jnp.where(hop.first, 0.0, hop.quality_after - hop.quality_before)


def hop_quality(hop: Hop) -> Float[Array, "*B"]:
    """q(after) at every hop, not at STOP; quality. DER's score (arXiv 2412.07448)."""
    return jnp.where(hop.stop, 0.0, hop.quality_after)


def verdict(hop: Hop) -> Float[Array, "*B"]:
    """+1 for ending with a right answer, -1 with a wrong one. DER's terminal bonus (arXiv 2412.07448), there times 2.

    DER calls an answer right from a score of .73; we from .5, as everywhere.
    """
    return jnp.where(hop.terminal, jnp.where(hop.quality_after >= RIGHT, 1.0, -1.0), 0.0)


def damage(hop: Hop) -> Float[Array, "*B"]:
    """-1 for a hop that turns a right answer wrong. Ours."""
    return -((hop.quality_before >= RIGHT) & (hop.quality_after < RIGHT)).astype(jnp.float32)


def log_cost(hop: Hop) -> Float[Array, "*B"]:
    """-log(1 + c) of every hop: a dear call hurts less than in proportion; nats. Ours."""
    return -jnp.log1p(hop.cost)


def relative_cost(hop: Hop) -> Float[Array, "*B"]:
    """-c over the cost of the query's cheapest right route: what was wasted, the same for easy and hard queries. Ours.

    Where no route is right, over that of the cheapest route.
    """
    return -hop.cost / jnp.maximum(hop.cheapest_right, 1e-6)


def overrun(hop: Hop) -> Float[Array, "*B"]:
    """-(cost of the route beyond the limit), as it grows; over the cost normaliser. A soft budget; ours."""
    return jnp.maximum(hop.spent - hop.cost - hop.overrun_limit, 0.0) - jnp.maximum(hop.spent - hop.overrun_limit, 0.0)


def overrun_once(hop: Hop) -> Float[Array, "*B"]:
    """-1 for the hop that passes the limit: a hard line, though one that can be crossed at a price; ours.

    A budget that is never crossed is `LearnerStatic.budgeted`.
    """
    return -((hop.spent > hop.overrun_limit) & (hop.spent - hop.cost <= hop.overrun_limit)).astype(jnp.float32)


def stage(hop: Hop) -> Float[Array, "*B"]:
    """+1 for every model called, whatever it costs: a bonus on long routes, or a toll below 0. Ours."""
    return jnp.where(hop.stop, 0.0, 1.0)


def length(hop: Hop) -> Float[Array, "*B"]:
    """-tokens written, in hundreds. Ours."""
    return -hop.tokens / 100.0


def latency(hop: Hop) -> Float[Array, "*B"]:
    """-seconds that the hop took. Ours."""
    return -hop.seconds


TERMS: dict[str, Term] = {
    term.__name__: term
    for term in (
        terminal_quality,
        hop_cost,
        potential,
        quality_gain,
        later_gain,
        hop_quality,
        verdict,
        damage,
        log_cost,
        relative_cost,
        overrun,
        overrun_once,
        stage,
        length,
        latency,
    )
}
