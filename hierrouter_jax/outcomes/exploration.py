"""How a served policy draws its actions: the greedy one, or one at random with probabilities that are known exactly."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from hierrouter_jax.domains import POSITIVE, SHARE
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.ties import first_best

NONE, SOFTMAX, EPSILON = "none", "softmax", "epsilon"
FORMS = "none, softmax:T with a temperature T above 0, or epsilon:E with E in [0, 1]"
_DOMAINS = {SOFTMAX: POSITIVE, EPSILON: SHARE}


@dataclass(frozen=True)
class Exploration:
    """How actions are drawn from a policy's logits.

    Attributes:
      kind: one of `none` (always the greedy action), `softmax` or `epsilon`.
      value: temperature T of softmax, or probability E that epsilon draws the action evenly; 0 for `none`.
    """

    kind: str = NONE
    value: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Exploration":
        """Read `none`, `softmax:T` or `epsilon:E`.

        Raises:
          InputError: if the text is of another form, or its number out of its domain.
        """
        kind, colon, number = text.strip().partition(":")
        if kind == NONE and not colon:
            return cls()
        try:
            value = float(number)
        except ValueError:
            value = None
        if kind not in _DOMAINS or value is None:
            raise InputError(f"explore is {text!r}, but must be {FORMS}")
        if value not in _DOMAINS[kind]:
            raise InputError(f"explore is {text!r}, but {kind}'s number must be {_DOMAINS[kind]}")
        return cls(kind, value)

    def __str__(self) -> str:
        """The text that `parse` reads back to the same numbers."""
        return self.kind if self.kind == NONE else f"{self.kind}:{self.value!r}"


def distribution(
    logits: Float[np.ndarray, "*B A"],
    mask: Bool[np.ndarray, "*B A"],
    explore: Exploration,
    ties: Sequence[int] | None = None,
) -> Float[np.ndarray, "*B A"]:
    """The probability of each action, float64; 0 where the mask is False, and rows sum to 1.

    With the greedy action a* = argmax over the mask (ties as in `PolicyBundle.act`) and K actions
    available: `none` gives 1[a = a*], `softmax:T` gives exp(logit_a / T) over their sum, and `epsilon:E` gives
    (1 - E) 1[a = a*] + E / K.

    Args:
      logits: logits of A actions, finite where the mask is True.
      mask: True where an action may be taken.
      explore: how actions are drawn.
      ties: actions in the order in which they win ties, as `PolicyBundle.ties`; by index where it is None.

    Raises:
      InputError: if a row leaves no action, or an available action's logit is not finite.
    """
    scores = np.where(mask, np.asarray(logits, dtype=np.float64), -np.inf)
    if not mask.any(axis=-1).all():
        raise InputError("the mask of a decision leaves no action, but must leave at least one")
    if not np.isfinite(scores[mask]).all():
        raise InputError("the logit of an available action is not finite")
    if explore.kind == SOFTMAX:
        weights = np.exp((scores - scores.max(axis=-1, keepdims=True)) / explore.value)
        return weights / weights.sum(axis=-1, keepdims=True)
    actions = np.arange(scores.shape[-1])
    greedy = (actions == first_best(scores, actions if ties is None else ties)[..., None]).astype(np.float64)
    if explore.kind == NONE:
        return greedy
    return (1 - explore.value) * greedy + explore.value * mask / mask.sum(axis=-1, keepdims=True)


def sample(probs: Float[np.ndarray, "*B A"], rng: np.random.Generator) -> Int[np.ndarray, "*B"]:
    """One action of each row, by the inverse of its cumulative distribution; never one of probability 0.

    Args:
      probs: probabilities of A actions; rows sum to 1.
      rng: generator, which is moved on by one number a row.
    """
    cumulative = np.cumsum(probs, axis=-1)
    threshold = rng.random(probs.shape[:-1]) * cumulative[..., -1]
    action = (cumulative <= threshold[..., None]).sum(axis=-1)
    # A threshold that rounds up to the whole sum would pass the last action of any probability.
    last = probs.shape[-1] - 1 - (probs[..., ::-1] > 0).argmax(axis=-1)
    return np.minimum(action, last)
