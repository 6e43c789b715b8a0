"""What all interfaces of the server share: a request's checked fields, an answer's extension and headers, errors."""

import json
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hierrouter_jax.bridge.transcript import Hop
from hierrouter_jax.errors import InputError
from hierrouter_jax.serve.episode import Choice, Episode, Event, FailedHop

ROUTE_HEADERS = ("x-hierrouter-episode-id", "x-hierrouter-route", "x-hierrouter-cost", "x-hierrouter-overhead-ms")
Money = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Strict(BaseModel):
    """Fields of a request; one that is not known is refused by its name."""

    model_config = ConfigDict(extra="forbid")


class Feedback(Strict):
    """The quality of an answer that was given before.

    Attributes:
      episode_id: id of the answer's episode.
      quality: score in [0, 1].
    """

    episode_id: Annotated[str, Field(min_length=1, max_length=100)]
    quality: Annotated[float, Field(ge=0, le=1)]


class Conditions(Strict):
    """What the policy is told of one request; each field may also come in the header that its text names.

    Attributes:
      budget: largest cost of the whole route, in the pool's money unit (`x-hierrouter-budget`).
      cost_weight: cost weight that a cost-conditioned policy is to serve (`x-hierrouter-cost-weight`).
      max_hops: largest number of hops (`x-hierrouter-max-hops`).
      task: task of the question, for a policy that reads it (`x-hierrouter-task`).
      session_budget: money that the session of `x-session-id` may spend in all (`x-hierrouter-session-budget`).
    """

    budget: Money | None = None
    cost_weight: Money | None = None
    max_hops: Annotated[int, Field(ge=1)] | None = None
    task: str = ""
    session_budget: Money | None = None


_BY_HEADER = {
    "budget": ("x-hierrouter-budget", float),
    "cost_weight": ("x-hierrouter-cost-weight", float),
    "max_hops": ("x-hierrouter-max-hops", int),
    "task": ("x-hierrouter-task", str),
    "session_budget": ("x-hierrouter-session-budget", float),
}


def conditions_of(body: Conditions | None, headers: Mapping[str, str]) -> Conditions:
    """The conditions of a request, from its body or else its headers.

    Raises:
      InputError: naming a header that holds no number, or one that cannot be.
    """
    values = {} if body is None else body.model_dump(exclude_unset=True)
    for name, (header, kind) in _BY_HEADER.items():
        if name in values or header not in headers:
            continue
        try:
            values[name] = kind(headers[header])
        except ValueError:
            raise InputError(f"the header {header} is {headers[header][:40]!r}, but must be a number") from None
    try:
        return Conditions(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"the header {_BY_HEADER[str(first['loc'][0])][0]}: {first['msg']}") from None


def check_text(value: Any) -> None:
    """Refuse text that is no Unicode, such as half of a pair of surrogates, and numbers that are none, in a request.

    Raises:
      InputError: if there is some.
    """
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (UnicodeEncodeError, RecursionError, ValueError):
        raise InputError("the request holds text that is no Unicode, or a number that is not finite") from None


def kind_of(status: int) -> str:
    """The kind of an error, as OpenAI's interface names them."""
    return "invalid_request_error" if status < 500 else "api_error"


def error_body(path: str, status: int, message: str, kind: str = "") -> dict[str, Any]:
    """An error as the interface of its path writes it, whole or in a stream.

    Args:
      path: path of the interface.
      status: HTTP status, which a stream that has begun no longer tells.
      message: one sentence for the client.
      kind: kind of the error, as OpenAI's interface names them; by default that of the status.
    """
    message = message.encode("utf-8", "replace").decode()
    if path.startswith("/v1/messages"):
        names = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large"}
        names |= {429: "rate_limit_error", 503: "overloaded_error", 504: "timeout_error"}
        return {"type": "error", "error": {"type": names.get(status, kind_of(status)), "message": message}}
    return {"error": {"message": message, "type": kind or kind_of(status), "param": None, "code": None}}


def hop_data(hop: Hop, actions: list[str]) -> dict[str, Any]:
    """A hop as plain data."""
    return {
        "model": hop.model,
        "response": hop.response,
        "tokens_in": hop.tokens_in,
        "tokens_out": hop.tokens_out,
        "cost": hop.cost,
        "seconds": round(hop.seconds, 6),
        "probability": hop.probability,
        "probabilities": dict(zip(actions, hop.probabilities, strict=True)),
        "propensity": hop.propensity,
        "trimmed_tokens": hop.trimmed_tokens,
        "finish_reason": hop.finish_reason,
    }


def choice_data(choice: Choice, actions: list[str]) -> dict[str, Any]:
    """A decision as plain data."""
    return {
        "stage": choice.stage,
        "action": actions[choice.action],
        "probabilities": dict(zip(actions, choice.probabilities.tolist(), strict=True)),
        "propensity": float(choice.probs[choice.action]),
        "masked": choice.masked,
    }


def extension(episode: Episode, actions: list[str], money_unit: str) -> dict[str, Any]:
    """The field `hierrouter` of an answer: the route, its hops, and what they cost.

    Args:
      episode: the request, done.
      actions: names of the models in action order, and STOP.
      money_unit: unit of costs.
    """
    return {
        "episode_id": episode.ask.id,
        "route": [hop.model for hop in episode.hops],
        "stopped": episode.stopped,
        "cost": episode.cost,
        "money_unit": money_unit,
        "seconds": round(episode.seconds, 6),
        "overhead_ms": round(1e3 * episode.overhead, 3),
        "hops": [hop_data(hop, actions) for hop in episode.hops],
        "last_decision": choice_data(episode.choices[-1], actions) if episode.choices else None,
        "failed": [{"stage": stage, **failed_data(lost)} for stage, lost in episode.failed],
        "trouble": episode.trouble,
    }


def failed_data(lost: FailedHop) -> dict[str, Any]:
    """A call without a response as plain data."""
    return {"model": lost.model, "reason": lost.reason, "seconds": round(lost.seconds, 6)}


def comment_of(event: Event | None, actions: list[str]) -> str:
    """An event of a stream as one line that every client passes over; None where nothing has come for a while.

    Args:
      event: what happened; no piece of the answer, which is no comment.
      actions: names of the models in action order, and STOP.
    """
    if event is None:
        return "ping"
    if isinstance(event, Hop):
        return f"hop {json.dumps(hop_data(event, actions))}"
    if isinstance(event, Choice):
        return f"decision {json.dumps(choice_data(event, actions))}"
    assert isinstance(event, FailedHop)
    return f"failed {json.dumps(failed_data(event))}"


def headers_of(episode: Episode) -> dict[str, str]:
    """What the headers of an answer say of its route."""
    route = ",".join(quote(hop.model) for hop in episode.hops)
    values = episode.ask.id, route, f"{episode.cost:.10g}", f"{1e3 * episode.overhead:.3f}"
    return dict(zip(ROUTE_HEADERS, values, strict=True))


def tokens_of(episode: Episode) -> tuple[int, int]:
    """Tokens that all hops read, and those that they wrote."""
    return sum(hop.tokens_in for hop in episode.hops), sum(hop.tokens_out for hop in episode.hops)
