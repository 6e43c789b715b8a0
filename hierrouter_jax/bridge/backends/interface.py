"""What a backend is: something that answers a batch of prompts."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from hierrouter_jax.outcomes.context import Prompt
from hierrouter_jax.outcomes.pricing import PricedModel


class Generation(NamedTuple):
    """What one call produced.

    Attributes:
      text: the response.
      tokens_in: tokens of the prompt, by the model's own tokenizer.
      tokens_out: tokens generated, the end token included.
      finish_reason: `stop` at an end token or a stop string, `length` at the limit, `content_filter` where an endpoint
        kept a part of the response back.
      latency: seconds; of a batch, its seconds over its size.
      logprob: sum of the log-probabilities of the generated tokens, or None where it is not known.
    """

    text: str
    tokens_in: int
    tokens_out: int
    finish_reason: str
    latency: float
    logprob: float | None = None


class Failure(NamedTuple):
    """A call that gave no response, after all retries.

    Attributes:
      reason: in one line, for a person.
    """

    reason: str


class Backend(Protocol):
    """A pool member that can be called.

    Attributes:
      name: unique in the pool.
      parameters: number of weights, where known.
      identity: names the weights and generation settings; equal identities answer alike.
      price: what its tokens cost.
      max_new_tokens: most tokens that a call may write.
      positions: longest prompt and response together, in tokens; None where unknown.
    """

    name: str
    parameters: int | None
    identity: str
    price: PricedModel
    max_new_tokens: int
    positions: int | None

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Tokens of each prompt, exactly as `generate` meters them; no model is run."""
        ...

    def generate(self, prompts: Sequence[Prompt]) -> Sequence[Generation | Failure]:
        """One generation for each prompt, in order; none depends on the other prompts."""
        ...
