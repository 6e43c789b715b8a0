"""A reward term: answers that are short."""

import jax.numpy as jnp


def short_answers(hop):
    """+1 for ending with an answer of at most 10 tokens."""
    return jnp.where(hop.terminal & (hop.tokens <= 10), 1.0, 0.0)
