"""What a backend is: something that answers prompts, a batch at a time or each by itself."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.table import Prompt


class Generation(NamedTuple):
    """What one call produced.

    Attributes:
      text: text of the response.
      tokens_in: tokens of the prompt, by the model's own tokenizer.
      tokens_out: tokens generated, the end token included.
      finish_reason: `stop` at an end token or a stop string, `length` at the limit, `content_filter` where an endpoint
        kept a part of the response back; or a word of the endpoint that nobody knows, for a whole response.
      latency: seconds; of a batch, its seconds over its size.
      logprob: sum of the log-probabilities of the generated tokens, or None where it is not known.
    """

    text: str
    tokens_in: int
    tokens_out: int
    finish_reason: str
    latency: float
    logprob: float | None = None


class ToolCalls(Generation):
    """A generation that asks for tools to be called, and has little or no text.

    Attributes:
      calls: calls in the layout of a chat completion's `tool_calls`.
    """

    calls: tuple[dict[str, Any], ...] = ()


class Piece(NamedTuple):
    """Something new of a response that is being written.

    Attributes:
      text: text behind that of the pieces before; empty where tool calls alone are new.
      calls: new parts of tool calls, in the layout of a chat completion chunk's `tool_calls`.
    """

    text: str
    calls: tuple[dict[str, Any], ...] = ()


class Failure(NamedTuple):
    """A call that gave no response, after all retries.

    Attributes:
      reason: one line that a person can read.
      scope: what the reason is about: this `call`; perhaps every call, as the endpoint has `refused` it (a key, a
        model's name, a field); or an endpoint that is `away`.
    """

    reason: str
    scope: Literal["call", "refused", "away"] = "call"


Answers = dict[Prompt, Generation | Failure]


class NoTokenizer(InputError):
    """A backend that cannot count a prompt's tokens without a call."""


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


@runtime_checkable
class Greedy(Protocol):
    """A backend whose response, where it ended by itself, is the one under any larger limit, too.

    Attributes:
      family: identity without the limit; None where decoding is not greedy.
    """

    family: str | None


@runtime_checkable
class Streaming(Protocol):
    """A backend that has several calls under way at once, each answered by itself."""

    def generate_each(self, prompts: Iterator[Prompt | None]) -> Generator[Answers, None, None]:
        """Answers as they come, in whatever order; those of one moment together, often none.

        Closing the iterator gives up the calls under way.

        Args:
          prompts: the next one is taken as soon as a call may begin; None is "not now": it is asked again after an
            answer or a moment. When it ends no further call begins.
        """
        ...

    def hurry(self) -> None:
        """Let the calls under way end soon: no request is tried again."""
        ...


@runtime_checkable
class Tokenizing(Protocol):
    """A backend that can tell the tokens of a prompt, and not only their number."""

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Ids of each prompt's tokens, exactly as `generate` reads them; no model is run.

        Raises:
          NoTokenizer: if no tokenizer is at hand.
        """
        ...


@runtime_checkable
class Settable(Protocol):
    """A backend whose weights run here, which can be watched and told how to decode."""

    def with_settings(self, fields: Mapping[str, Any]) -> "Settable":
        """The same weights with other settings; shares the memory of this one.

        Args:
          fields: settings by their names in a chat completion: max_tokens, temperature, top_p, top_k, seed, stop.

        Raises:
          InputError: if a setting makes no sense.
        """
        ...

    def generate_watched(self, prompts: Sequence[Prompt], watch: Callable[[int, str], bool]) -> Sequence[Generation]:
        """One generation for each prompt, in order.

        Args:
          prompts: prompts of one batch.
          watch: called with the number of a prompt and the text of its response so far, whenever that has grown;
            where it returns False, the response ends there.
        """
        ...
