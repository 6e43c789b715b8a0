"""An OpenAI-compatible endpoint: many calls at once, within its limits, retried, each answered or told why not."""

import asyncio
from collections.abc import Sequence
from functools import cache
from threading import Thread
from typing import Any

from aiolimiter import AsyncLimiter
from openai import APIConnectionError, APIError, APIStatusError, AsyncOpenAI, DefaultAsyncHttpxClient

from hierrouter_jax.bridge.backends.interface import Failure, Generation
from hierrouter_jax.bridge.backends.refusals import Refusal, message, refusal
from hierrouter_jax.bridge.pool import Endpoint
from hierrouter_jax.bridge.servers import Server
from hierrouter_jax.errors import InputError

_PING_SECONDS = 10.0
# Fields that an endpoint may refuse without an answer being any different: they are then left out.
_DISPENSABLE = ("logprobs", "frequency_penalty")


class EndpointClient:
    """One model behind a URL.

    Retries are the client's own: on lost connections, time-outs, status 408, 409, 429 and above 499, with
    exponential back-off from half a second to eight, or as long as a Retry-After header of up to two minutes says.

    Args:
      endpoint: where, and within which limits. Requests a minute count retries, and are spread evenly.
      chat: whether to call `chat/completions` rather than `completions`.
      key: sent as bearer token, and told to nobody else.
      server: that is started here and answers there; each request waits until it does, after a restart as well.
    """

    def __init__(self, endpoint: Endpoint, chat: bool, key: str | None, server: Server | None = None) -> None:
        self._endpoint, self._key, self._server = endpoint, key, server
        self._in_flight = asyncio.Semaphore(endpoint.concurrency)
        per_minute = endpoint.requests_per_minute
        self._limiter = AsyncLimiter(1, 60 / per_minute) if per_minute else None
        self._client = AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=key or "none",  # the client would otherwise send whatever OPENAI_API_KEY holds
            timeout=endpoint.timeout,
            max_retries=endpoint.retries,
            http_client=DefaultAsyncHttpxClient(event_hooks={"request": [self._before_sending]}),
        )
        self._create: Any = (
            self._client.chat.completions if chat else self._client.completions
        ).with_raw_response.create
        self._left_out: set[str] = set()
        self._limit_name = "max_tokens"

    def ask(self, requests: Sequence[dict[str, Any]]) -> list[Generation | Failure]:
        """Make all calls, in order; safe from any thread, inside a running event loop as well.

        Raises:
          InputError: if what one call met would meet all the others too, and none was answered. Had some been
            answered, the others are failures, so that nothing paid for is lost.
        """
        future = asyncio.run_coroutine_threadsafe(self._ask_all(requests), _event_loop())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def _ask_all(self, requests: Sequence[dict[str, Any]]) -> list[Generation | Failure]:
        stop: list[str] = []
        answers = await asyncio.gather(*(self._ask(request, stop) for request in requests))
        if stop and not any(isinstance(answer, Generation) for answer in answers):
            raise InputError(stop[0])
        return answers

    async def _ask(self, request: dict[str, Any], stop: list[str]) -> Generation | Failure:
        """One call; what would meet every other call too is put into `stop`, and then no new one starts."""
        async with self._in_flight:
            if stop:
                return Failure(stop[0])
            answer = await self._call(request)
        if isinstance(answer, Generation):
            return answer
        reason = answer.reason.replace(self._key, "***") if self._key else answer.reason
        if answer.stops:
            stop.append(reason)
        return Failure(reason)

    async def _call(self, request: dict[str, Any]) -> Generation | Refusal:
        if trouble := self._server and await self._server.wait():
            return Refusal(trouble, True)
        while True:
            fields = {name: value for name, value in request.items() if name not in self._left_out}
            fields[self._limit_name] = fields.pop("max_tokens")
            try:
                raw = await self._create(model=self._endpoint.model, **fields)
                return _read(raw.parse(), raw.elapsed.total_seconds(), self._endpoint.base_url)
            except APIStatusError as error:
                if not self._does_without(error, fields):
                    return self._refusal(error)
            except APIConnectionError as error:
                told = self._refusal(error)
                if self._server:
                    trouble = await self._server.wait()
                    return Refusal(trouble, True) if trouble else told
                return told if await self._answers() else Refusal(f"{told.reason}; is the server running?", True)
            except APIError as error:
                return self._refusal(error)

    def _does_without(self, error: APIStatusError, fields: dict[str, Any]) -> bool:
        """Whether the endpoint objects to a field that need not be there or has a second name; noted for all calls."""
        if error.status_code not in (400, 422):
            return False
        said = message(error)
        if error.code == "unsupported_parameter" and error.param == "max_tokens" and "max_tokens" in fields:
            self._limit_name = "max_completion_tokens"  # as OpenAI's newer models call it
            return True
        refused = {name for name in _DISPENSABLE if name in fields and (name in said or error.param == name)}
        self._left_out |= refused
        return bool(refused)

    def _refusal(self, error: APIError) -> Refusal:
        return refusal(error, self._endpoint)

    async def _answers(self) -> bool:
        """Whether the endpoint answers at all, were it by an error."""
        try:
            await self._client.with_options(max_retries=0, timeout=_PING_SECONDS).models.list()
        except APIConnectionError:
            return False
        except APIError:
            return True
        return True

    async def _before_sending(self, request: Any) -> None:
        """Of every request, retries included: wait for its turn; tell nothing of OPENAI_* variables nobody named."""
        if not self._key:
            for name in ("Authorization", "OpenAI-Organization", "OpenAI-Project"):
                request.headers.pop(name, None)
        if self._server:
            await self._server.wait()
        if self._limiter:
            await self._limiter.acquire()


@cache
def _event_loop() -> asyncio.AbstractEventLoop:
    """One for all endpoints, on a thread of its own, so that connections and rate limits outlive a batch."""
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="endpoints", daemon=True).start()
    return loop


def _read(reply: Any, latency: float, url: str) -> Generation | Refusal:
    """Read a completion of either kind."""
    choices = getattr(reply, "choices", None)
    if not choices:
        told = " ".join(str(getattr(reply, "error", None) or "no choices in it").split())
        return Refusal(f"{url} sent a reply that is no completion ({told[:200]})", False)
    if reply.usage is None:
        return Refusal(f"{url} does not say how many tokens a call took, so that it cannot be priced", True)
    choice = choices[0]
    reason = _FINISH_REASONS.get(choice.finish_reason)
    if reason is None:
        return Refusal(f"{url} broke off with finish reason {choice.finish_reason!r}", False)
    text = choice.message.content if hasattr(choice, "message") else choice.text
    usage = reply.usage
    return Generation(text or "", usage.prompt_tokens, usage.completion_tokens, reason, latency, _logprob(choice))


_FINISH_REASONS = {"stop": "stop", "tool_calls": "stop", "length": "length", "content_filter": "content_filter"}


def _logprob(choice: Any) -> float | None:
    """Sum over the tokens that the endpoint reports; both layouts that are in use."""
    given: Any = getattr(choice, "logprobs", None)
    if getattr(given, "content", None):
        return float(sum(token.logprob for token in given.content))
    if getattr(given, "token_logprobs", None):
        return float(sum(value for value in given.token_logprobs if value is not None))
    return None
