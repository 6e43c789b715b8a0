"""An OpenAI-compatible endpoint: many calls at once, within its limits, retried, each answered or told why not."""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import Future
from functools import cache
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from aiolimiter import AsyncLimiter
from openai import APIConnectionError, APIError, APIStatusError, AsyncOpenAI, DefaultAsyncHttpxClient

from hierrouter_jax.bridge.backends.interface import Failure, Generation
from hierrouter_jax.bridge.backends.refusals import message, refusal
from hierrouter_jax.bridge.pool import Endpoint
from hierrouter_jax.bridge.servers import Server

Answer = Generation | Failure
_PING_SECONDS = 10.0
_MOMENT = 0.2  # seconds that a look at what has ended may take
_END = object()
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

    def ask_each(self, requests: Iterator[tuple[Any, dict[str, Any]] | None]) -> Iterator[list[tuple[Any, Answer]]]:
        """The answers to calls as they come, each beside its name; from any thread, inside a running event loop too.

        Args:
          requests: names and fields; the next one is taken when a call may begin; None is "not now".
        """
        ended: SimpleQueue[tuple[Any, Future[Answer]]] = SimpleQueue()
        under_way: set[Future[Answer]] = set()
        more, broken = True, None
        try:
            while more or under_way:
                while more and len(under_way) < self._endpoint.concurrency:
                    request = next(requests, _END)
                    if request is _END:
                        more = False
                    if not isinstance(request, tuple):
                        break
                    name, fields = request
                    future = asyncio.run_coroutine_threadsafe(self._ask(fields), _event_loop())
                    under_way.add(future)
                    future.add_done_callback(lambda future, name=name: ended.put((name, future)))
                arrived = _arrived(ended) if more or under_way else []
                under_way.difference_update(future for _, future in arrived)
                errors = [error for _, future in arrived if (error := future.exception()) is not None]
                broken, more = broken or next(iter(errors), None), more and not errors
                yield [(name, future.result()) for name, future in arrived if future.exception() is None]
        finally:
            for future in under_way:
                future.cancel()
        if broken is not None:
            raise broken

    async def _ask(self, request: dict[str, Any]) -> Answer:
        async with self._in_flight:
            answer = await self._call(request)
        if isinstance(answer, Generation) or not self._key:
            return answer
        return answer._replace(reason=answer.reason.replace(self._key, "***"))

    async def _call(self, request: dict[str, Any]) -> Answer:
        if trouble := self._server and await self._server.wait():
            return Failure(trouble, "away")
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
                    return Failure(trouble, "away") if trouble else told
                return told if await self._answers() else Failure(f"{told.reason}; is the server running?", "away")
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

    def _refusal(self, error: APIError) -> Failure:
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


os.register_at_fork(after_in_child=_event_loop.cache_clear)  # threads do not survive a fork


def _arrived(ended: "SimpleQueue[tuple[Any, Future[Answer]]]") -> "list[tuple[Any, Future[Answer]]]":
    """What has ended by now: within a moment the first, and all that are there with it."""
    arrived = []
    try:
        arrived.append(ended.get(timeout=_MOMENT))
        while True:
            arrived.append(ended.get_nowait())
    except Empty:
        return arrived


def _read(reply: Any, latency: float, url: str) -> Answer:
    """Read a completion of either kind."""
    choices = getattr(reply, "choices", None)
    if not choices:
        told = " ".join(str(getattr(reply, "error", None) or "no choices in it").split())
        return Failure(f"{url} sent a reply that is no completion ({told[:200]})")
    if reply.usage is None:
        return Failure(f"{url} does not say how many tokens a call took, so that it cannot be priced", "refused")
    choice = choices[0]
    reason = _FINISH_REASONS.get(choice.finish_reason)
    if reason is None:
        return Failure(f"{url} broke off with finish reason {choice.finish_reason!r}")
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
