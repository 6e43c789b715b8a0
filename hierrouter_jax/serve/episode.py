"""One request: what is asked, what was decided and called, and what came of it."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from hierrouter_jax.bridge.backends.interface import Piece
from hierrouter_jax.bridge.transcript import Hop, Transcript
from hierrouter_jax.serve.conversation import Conversation, Options


class NoAnswer(Exception):
    """No member answered, or the one whose answer was being streamed broke off. The message says why, in one line."""


@dataclass(frozen=True)
class Ask:
    """One request.

    Attributes:
      id: id of the episode.
      conversation: conversation that is to be answered.
      options: what the client asks of every hop's generation.
      cost_weight: cost weight that a cost-conditioned policy is to serve; None is its own.
      budget: largest cost of the whole route, in the pool's money unit; None is without limit.
      max_hops: largest number of hops; None is the policy's horizon.
      member: name of the one member that is to answer, without any decision; empty for the router.
      stream: whether the pieces of the last hop are wanted as they come.
      session_id: id of the session that it is of, or empty.
    """

    id: str
    conversation: Conversation
    options: Options = field(default_factory=Options)
    cost_weight: float | None = None
    budget: float | None = None
    max_hops: int | None = None
    member: str = ""
    stream: bool = False
    session_id: str = ""


class FailedHop(NamedTuple):
    """A call that gave no response, after which the decision was taken anew without its member.

    Attributes:
      model: name of the member.
      reason: cause, in one line.
      seconds: time until it failed.
      probs: distribution that it was drawn from, [A].
    """

    model: str
    reason: str
    seconds: float
    probs: Float[np.ndarray, " A"]


class Choice(NamedTuple):
    """A decision that was taken.

    Attributes:
      stage: number of hops done before.
      action: place of the model in the pool; M is STOP.
      mask: actions that could be taken, [A].
      probabilities: what the policy gives to the M models and STOP, [A].
      probs: distribution that the action was drawn from, [A]: all on the greedy action unless the policy explores.
      embedding: what the encoder made of the context, [E].
      charges: largest charge of each model's call, [M]; None without a budget.
      masked: models that could not be called, by name, with the reason.
      last: whether no further hop can follow, so that the response may be streamed.
      spent: money that the route had cost before.
    """

    stage: int
    action: int
    mask: Bool[np.ndarray, " A"]
    probabilities: Float[np.ndarray, " A"]
    probs: Float[np.ndarray, " A"]
    embedding: Float[np.ndarray, " E"]
    charges: Float[np.ndarray, " M"] | None
    masked: dict[str, str]
    last: bool
    spent: float


@dataclass
class Episode:
    """A request under way.

    Attributes:
      ask: request that is carried out.
      hops: hops that are done.
      choices: the decision taken at each stage so far.
      failed: calls without a response, each with its stage.
      stopped: whether the policy chose STOP.
      calls: tool calls that the last hop asks for.
      trouble: why the route ends before the policy ended it; empty as a rule.
      seconds: seconds of the whole request; 0 while it is under way.
      waiting: seconds of it that were spent in members' calls.
    """

    ask: Ask
    hops: list[Hop] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    failed: list[tuple[int, FailedHop]] = field(default_factory=list)
    stopped: bool = False
    calls: tuple[dict[str, Any], ...] = ()
    trouble: str = ""
    seconds: float = 0.0
    waiting: float = 0.0

    @property
    def cost(self) -> float:
        return sum(hop.cost for hop in self.hops)

    @property
    def answer(self) -> str:
        return self.hops[-1].response if self.hops else ""

    @property
    def transcript(self) -> Transcript:
        """How it was routed, as `hierrouter route` tells it."""
        query = self.ask.conversation.reading.query
        return Transcript(self.ask.id, query, tuple(self.hops), self.stopped, self.ask.budget, self.trouble)

    @property
    def overhead(self) -> float:
        """Seconds of the request that were not spent in members' calls."""
        return max(0.0, self.seconds - self.waiting)


Event = Choice | FailedHop | Piece | Hop
