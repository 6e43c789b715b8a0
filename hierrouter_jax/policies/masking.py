"""Categorical policies over legal actions; the one module that imports distrax."""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

if TYPE_CHECKING:
    import distrax

# Finite, so that entropies and gradients of impossible actions are exact zeros and never NaN.
IMPOSSIBLE = -1e9


def masked_categorical(logits: Float[Array, "*B A"], mask: Bool[Array, "*B A"]) -> "distrax.Categorical":
    """A categorical that gives illegal actions probability 0."""
    import distrax  # here, because loading it takes .4 s that only who samples should wait for

    return distrax.Categorical(logits=jnp.where(mask, logits, IMPOSSIBLE))


def masked_log_probs(logits: Float[Array, "*B A"], mask: Bool[Array, "*B A"], axis: int = -1) -> Float[Array, "*B A"]:
    """Logarithms of the same probabilities, of all actions; about `IMPOSSIBLE` where an action is illegal.

    Args:
      axis: of the actions.
    """
    return jax.nn.log_softmax(jnp.where(mask, logits, IMPOSSIBLE), axis=axis)
