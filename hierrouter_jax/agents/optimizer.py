"""One optimiser for all learners: AdamW with clipped gradients and schedules, every number of it a traced leaf."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from hierrouter_jax.agents.types import LearnerHyper
from hierrouter_jax.policies.prior import PRIOR

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

    def stepped(path: Any, parameter: Float[Array, "..."], its_direction: Float[Array, "..."]) -> Float[Array, "..."]:
        fitted = any(getattr(part, "key", None) == PRIOR for part in path)  # set once, and never to fade
        decay = 0.0 if fitted else hyper.weight_decay * parameter
        return parameter - rate * (its_direction + decay)

    return jax.tree_util.tree_map_with_path(stepped, params, direction), state
