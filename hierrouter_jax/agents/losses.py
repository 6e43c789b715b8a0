"""The learners' formulas, one pure function each."""

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray


def generalised_advantages(
    rewards: Float[Array, "L B"],
    values: Float[Array, "L B"],
    alive: Bool[Array, "L B"],
    gamma: Float[Array, ""] | float,
    gae_lambda: Float[Array, ""] | float,
) -> Float[Array, "L B"]:
    """A_t = delta_t + gamma * lambda * A_{t+1}, delta_t = r_t + gamma * V_{t+1} - V_t (Schulman et al. 2016, eq. 16).

    Episodes end within the L steps: the value after the last step, and after an episode's end, is 0.

    Args:
      alive: whether the episode was going before each step; finished steps get advantage 0.
    """
    chex.assert_equal_shape([rewards, values, alive])
    alive = alive.astype(rewards.dtype)

    def backward(carry, inputs):
        next_advantage, next_value = carry
        reward, value, going = inputs
        delta = reward + gamma * next_value - value
        advantage = going * (delta + gamma * gae_lambda * next_advantage)
        return (advantage, going * value), advantage

    zeros = jnp.zeros_like(rewards[0])
    _, advantages = jax.lax.scan(backward, (zeros, zeros), (rewards, values, alive), reverse=True)
    return advantages


def clipped_surrogate(
    ratio: Float[Array, "*B"], advantage: Float[Array, "*B"], clip: Float[Array, ""] | float
) -> Float[Array, "*B"]:
    """min(ratio * A, clip(ratio, 1 - eps, 1 + eps) * A) (Schulman et al. 2017, eq. 7)."""
    return jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - clip, 1 + clip) * advantage)


def dropout(key: PRNGKeyArray, features: Float[Array, "*B F"], rate: Float[Array, ""] | float) -> Float[Array, "*B F"]:
    """Zero each feature with probability `rate`, scale up the rest (Srivastava et al. 2014); `rate` may be traced.

    At rate 0 nothing is drawn: the random bits of a whole minibatch would cost as much as the network.
    """

    def drop(features):
        keep = jax.random.bernoulli(key, 1 - rate, features.shape)
        return jnp.where(keep, features / (1 - rate), 0.0).astype(features.dtype)

    return jax.lax.cond(rate > 0, drop, lambda features: features, features)


def share(weight: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """Weights of at least 0 that add up to 1 (to 0 where all are 0)."""
    total = jnp.sum(weight)
    return weight / jnp.where(total > 0, total, 1.0)


def weighted_mean(values: Float[Array, "*B"], weight: Float[Array, "*B"] | Bool[Array, "*B"]) -> Float[Array, ""]:
    """Mean over the entries by their weights, all at least 0 (0 where they add up to nothing)."""
    return jnp.sum(values * share(weight.astype(values.dtype)))


def normalise(values: Float[Array, "*B"], weight: Float[Array, "*B"] | Bool[Array, "*B"]) -> Float[Array, "*B"]:
    """Zero mean and unit variance over the entries by their weights."""
    mean = weighted_mean(values, weight)
    variance = weighted_mean((values - mean) ** 2, weight)
    return (values - mean) / jnp.sqrt(variance + 1e-8)
