"""One optimiser for all learners: AdamW with clipped gradients and schedules, every number of it a traced leaf."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from hierrouter_jax.agents.types import LearnerHyper

Progress = Float[Array, ""]


def optimizer() -> optax.GradientTransformation:
    """Adam's direction. The rate multiplies outside of optax, so that it can be a leaf without recompiling."""
    return optax.scale_by_adam(eps=1e-5)


def learning_rate(hyper: LearnerHyper, progress: Progress) -> Float[Array, ""]:
    """The rate after a share `progress` of all updates: from `learning_rate` to `learning_rate_end` of it."""
    linear = 1 - progress
    cosine = 0.5 * (1 + jnp.cos(jnp.pi * progress))
    fall = linear + hyper.learning_rate_cosine * (cosine - linear)
    return hyper.learning_rate * (hyper.learning_rate_end + (1 - hyper.learning_rate_end) * fall)


def entropy_bonus(hyper: LearnerHyper, progress: Progress) -> Float[Array, ""]:
    """The entropy's coefficient, linear from `entropy` to `entropy_end`."""
    return hyper.entropy + (hyper.entropy_end - hyper.entropy) * progress


def apply_gradient(
    params: Any, state: optax.OptState, gradient: Any, hyper: LearnerHyper, progress: Progress
) -> tuple[Any, optax.OptState]:
    """One step of AdamW down the gradient, its global norm clipped."""
    norm = optax.tree.norm(gradient)
    shrink = jnp.minimum(1.0, hyper.max_grad_norm / (norm + 1e-6))
    gradient = jax.tree.map(lambda leaf: leaf * shrink, gradient)
    direction, state = optimizer().update(gradient, state, params)
    rate = learning_rate(hyper, progress)
    return jax.tree.map(lambda p, d: p - rate * (d + hyper.weight_decay * p), params, direction), state
