"""Reward terms and their weights: any two reward shapings differ by numbers, not by code."""

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float


@struct.dataclass
class RewardWeights:
    """Weight of each reward term: leaves, in whose place a sweep may put arrays.

    The paper's reward is terminal quality minus a weighted hop cost; it does not give the weight, ours is
    documented in `configs/`.

    Attributes:
      terminal_quality: of the final answer's quality, once at the end.
      hop_cost: lambda, taken off per normalised cost of every hop. One per episode where a policy is conditioned
        on it: an array that broadcasts against the others.
      quality_gain: of quality minus the quality one hop earlier (0 before the first). Summed over an episode
        it telescopes to the final quality, so it rescales quality against cost: *not* policy-invariant.
      damage: taken off for a hop that turns a right answer (quality >= .5) wrong.
    """

    terminal_quality: float = 1.0
    hop_cost: float = 0.01
    quality_gain: float = 0.0
    damage: float = 0.0


def hop_reward(
    quality_before: Float[Array, "*B"],
    quality_after: Float[Array, "*B"],
    cost: Float[Array, "*B"],
    terminal: Bool[Array, "*B"],
    weights: RewardWeights,
) -> Float[Array, "*B"]:
    """Reward of one hop, a dot product of terms and weights.

    Args:
      quality_before, quality_after: quality of answering before and after the hop, in [0, 1].
      cost: of the hop, over the cost normaliser.
      terminal: whether the hop ends the episode.
    """
    damaged = (quality_before >= 0.5) & (quality_after < 0.5)
    terms = {
        "terminal_quality": terminal * quality_after,
        "hop_cost": -cost,
        "quality_gain": quality_after - quality_before,
        "damage": -damaged.astype(jnp.float32),
    }
    return sum((getattr(weights, name) * term for name, term in terms.items()), jnp.zeros_like(quality_after))


def stop_reward(quality: Float[Array, "*B"], weights: RewardWeights) -> Float[Array, "*B"]:
    """Reward of STOP: the current answer's quality, at no cost."""
    return weights.terminal_quality * quality
