"""Categorical policies over legal actions; the one module that imports distrax."""

import math
import warnings
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

if TYPE_CHECKING:
    import distrax

# Finite, so that entropies and gradients of impossible actions are exact zeros and never NaN.
IMPOSSIBLE = -1e9


class Categorical(NamedTuple):
    """The categorical that is used where distrax, or tfp-nightly below it, cannot be imported; it draws the same.

    Attributes:
      logits: normalised log-probabilities of the actions, [*B, A].
    """

    logits: Float[Array, "*B A"]

    def sample_and_log_prob(
        self, *, seed: PRNGKeyArray, sample_shape: tuple[int, ...] = ()
    ) -> tuple[Int[Array, "..."], Float[Array, "..."]]:
        """Draws and their log-probabilities, [*S, *B], for the same key those of `distrax.Categorical` bit for bit."""
        batch = self.logits.shape[:-1]
        draws = jax.random.categorical(seed, self.logits, axis=-1, shape=(math.prod(sample_shape), *batch))
        log_probs = jnp.sum(jnp.where(jax.nn.one_hot(draws, self.logits.shape[-1], dtype=bool), self.logits, 0.0), -1)
        return draws.reshape(*sample_shape, *batch), log_probs.reshape(*sample_shape, *batch)


def masked_categorical(logits: Float[Array, "*B A"], mask: Bool[Array, "*B A"]) -> "distrax.Categorical | Categorical":
    """A categorical that gives illegal actions probability 0: distrax's, or the own one where that cannot be had."""
    legal = jnp.where(mask, logits, IMPOSSIBLE)
    try:
        import distrax  # here, because loading it takes .4 s that only who samples should wait for
    except Exception as error:  # a nightly library that breaks does so in its own way
        warnings.warn(
            f"distrax cannot be imported ({error}); the package's own categorical draws the same", stacklevel=2
        )
        return Categorical(jax.nn.log_softmax(legal))
    return distrax.Categorical(logits=legal)


def masked_log_probs(logits: Float[Array, "*B A"], mask: Bool[Array, "*B A"], axis: int = -1) -> Float[Array, "*B A"]:
    """Logarithms of the same probabilities, of all actions; about `IMPOSSIBLE` where an action is illegal.

    Args:
      axis: axis of the actions.
    """
    return jax.nn.log_softmax(jnp.where(mask, logits, IMPOSSIBLE), axis=axis)


def entropies(log_probs: Float[Array, "*B A"], mask: Bool[Array, "*B A"]) -> Float[Array, "*B"]:
    """Entropy of a policy over its legal actions, in nats."""
    return -jnp.sum(jnp.where(mask, jnp.exp(log_probs) * log_probs, 0.0), axis=-1)
