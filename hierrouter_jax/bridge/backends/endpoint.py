"""An OpenAI-compatible endpoint: many calls at once, within its limits, retried, each answered or told why not."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import aclosing
from functools import cache
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from aiolimiter import AsyncLimiter
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncOpenAI, DefaultAsyncHttpxClient

from hierrouter_jax.bridge.backends.interface import Failure, Generation, Piece
from hierrouter_jax.bridge.backends.refusals import (
    LIMIT_NAMES,
    Retries,
    as_failure,
    check_environment,
    dispensable,
    no_client,
    refused,
    wants_other_limit,
    without,
)
from hierrouter_jax.bridge.backends.reply import read_reply, whole_text
from hierrouter_jax.bridge.backends.streaming import BROKEN_OFF, Assembly, in_time
from hierrouter_jax.bridge.pool import Endpoint
from hierrouter_jax.bridge.servers import Server

Answer = Generation | Failure
Unanswered = APIConnectionError | TimeoutError | ConnectionError
_PING_SECONDS, _MOMENT = 10.0, 0.2  # that a look at whether it answers, and at what has ended, may take
_END = object()


class EndpointClient:
    """One model behind a URL.

    Retries are the client's own: on lost connections, time-outs, status 408, 409, 429 and above 499, with
    exponential back-off from half a second to eight, or as long as a Retry-After header of up to two minutes says.

    Args:
      endpoint: its address and limits. Requests a minute count retries, and are spread evenly.
      chat: whether to call `chat/completions` rather than `completions`.
      key: key sent as bearer token, and to nobody else.
      limit: most tokens of a response.
      server: the server of this run behind that address; each request waits until it answers, after a restart as well.

    Attributes:
      home: event loop of all its requests; by default one for all endpoints, on a thread of its own.
      retries: most retries of a call; by default what the endpoint says.

    Raises:
      InputError: if the environment's proxies or certificates let no client be made.
    """

    def __init__(
        self, endpoint: Endpoint, chat: bool, key: str | None, limit: int, server: Server | None = None
    ) -> None:
        self._endpoint, self._key, self._limit, self._server = endpoint, key, limit, server
        self.home: asyncio.AbstractEventLoop | None = None
        self.retries = endpoint.retries
        self._in_flight = asyncio.Semaphore(endpoint.concurrency)
        per_minute = endpoint.requests_per_minute
        self._limiter = AsyncLimiter(1, 60 / per_minute) if per_minute else None
        check_environment()
        try:
            self._client = AsyncOpenAI(
                base_url=endpoint.base_url,
                api_key=key or "none",  # the client would otherwise send whatever OPENAI_API_KEY holds
                timeout=endpoint.timeout,
                max_retries=0,
                http_client=DefaultAsyncHttpxClient(event_hooks={"request": [self._before_sending]}),
            )
        except Exception as error:  # of a library below, for an environment that nobody has thought of
            raise no_client(endpoint.base_url, error) from None
        self._create: Any = (
            self._client.chat.completions if chat else self._client.completions
        ).with_raw_response.create
        self._left_out: set[str] = set(endpoint.leave_out)
        self._limit_name = LIMIT_NAMES[0]
        self._hurry = asyncio.Event()

    def ask_each(self, requests: Iterator[tuple[Any, dict[str, Any]] | None]) -> Iterator[list[tuple[Any, Answer]]]:
        """The answers to calls as they come, each beside its name; from any thread, inside a running event loop too.

        Args:
          requests: names and fields; the next one is taken when a call may begin; None is "not now".
        """
        ended: SimpleQueue[tuple[Any, Future[Answer]]] = SimpleQueue()
        under_way: set[Future[Answer]] = set()
        more, broken = True, None
        _event_loop().call_soon_threadsafe(self._hurry.clear)
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

    def hurry(self) -> None:
        """Let the calls under way end soon: no request is tried again."""
        _event_loop().call_soon_threadsafe(self._hurry.set)

    async def ask(self, request: dict[str, Any]) -> Answer:
        """The answer to one call, from any event loop. Cancelling it gives the call up."""
        home = self.home or _event_loop()
        if asyncio.get_running_loop() is home:
            return await self._ask(request)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._ask(request), home))

    async def stream(self, request: dict[str, Any]) -> AsyncGenerator[Piece | Answer, None]:
        """The pieces of one call's response as they come, at the end the answer that holds all of them.

        A failure after a first piece says that the response was broken off. Closing the iterator gives the call up.
        """
        home = self.home or _event_loop()
        if asyncio.get_running_loop() is home:
            async with aclosing(self._stream(request)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        here, pieces = asyncio.get_running_loop(), asyncio.Queue()

        async def pump() -> None:
            async with aclosing(self._stream(request)) as own:
                async for piece in own:
                    here.call_soon_threadsafe(pieces.put_nowait, piece)

        under_way = asyncio.run_coroutine_threadsafe(pump(), home)
        under_way.add_done_callback(lambda _: here.call_soon_threadsafe(pieces.put_nowait, _END))
        try:
            while (piece := await pieces.get()) is not _END:
                yield piece
            under_way.result()
        finally:
            under_way.cancel()

    async def _ask(self, request: dict[str, Any]) -> Answer:
        async with self._in_flight:
            answer = await self._call(request, self._send)
        return answer if isinstance(answer, Generation) else self._without_key(answer)

    async def _stream(self, request: dict[str, Any]) -> AsyncGenerator[Piece | Answer, None]:
        fields = {**request, "stream": True, "stream_options": {"include_usage": True}}
        async with self._in_flight:
            opened = await self._call(fields, self._open)
            if isinstance(opened, Failure):
                yield self._without_key(opened)
                return
            chunks, until = opened
            assembly = Assembly(request, self._limit, self._endpoint.base_url)
            try:
                while (chunk := await in_time(anext(chunks, _END), until)) is not _END:
                    if (piece := assembly.add(chunk)) is not None:
                        yield piece
                await chunks.close()  # only then it is known how long it took
                answer = assembly.answer(chunks.response.elapsed.total_seconds())
            except BROKEN_OFF as error:
                answer = Failure(f"{self._endpoint.base_url} broke off its response ({error})", "away")
            finally:
                await chunks.close()
        yield answer if isinstance(answer, Generation) else self._without_key(answer)

    def _without_key(self, failure: Failure) -> Failure:
        reason = whole_text(failure.reason)
        return failure._replace(reason=reason.replace(self._key, "***") if self._key else reason)

    async def _call(self, request: dict[str, Any], send: Callable[[dict[str, Any]], Awaitable[Any]]) -> Any:
        """One call: requests, until one is answered or is not worth another."""
        retries, left_out, limit_name = Retries(self.retries, self._hurry), set(self._left_out), self._limit_name
        while True:
            fields = without(request, left_out | self._left_out, limit_name)
            answer = await send(fields)
            if isinstance(answer, Failure):
                return answer
            if isinstance(answer, APIStatusError):
                refusal = refused(answer.status_code, answer.response.content, answer.response.reason_phrase)
                if wants_other_limit(refusal, fields):
                    limit_name = LIMIT_NAMES[1]
                    continue
                if superfluous := dispensable(refusal, fields):
                    left_out |= superfluous
                    continue
                if not refusal.unpaid and await retries.again(refusal.status, answer.response.headers):
                    continue
                return as_failure(refusal, self._endpoint, retries)
            if isinstance(answer, Unanswered):
                if not await retries.again(None, {}):
                    return await self._lost(answer, retries)
                continue
            self._left_out |= left_out  # what helped this call helps the others
            if limit_name != LIMIT_NAMES[0]:
                self._limit_name = limit_name
            return answer

    async def _send(self, fields: dict[str, Any]) -> Answer | APIStatusError | Unanswered:
        """One request, and what came of it; a server that this run started is waited for."""
        raw, _ = await self._create_one(fields)
        if not hasattr(raw, "http_response"):
            return raw
        reply = raw.http_response
        return read_reply(reply.content, fields, self._limit, reply.elapsed.total_seconds(), self._endpoint.base_url)

    async def _open(self, fields: dict[str, Any]) -> Any:
        """One request whose response is a stream: the stream and when its time is up, or what came of it otherwise."""
        raw, until = await self._create_one(fields)
        return (raw.parse(), until) if hasattr(raw, "http_response") else raw

    async def _create_one(self, fields: dict[str, Any]) -> tuple[Any, float]:
        """What came of one request, and when its time is up, by the clock of the event loop."""
        if trouble := self._server and await self._server.wait():
            return Failure(trouble, "away"), 0.0
        if self._limiter:
            await self._limiter.acquire()
        until = asyncio.get_running_loop().time() + self._endpoint.timeout
        try:
            return await in_time(self._create(model=self._endpoint.model, **fields), until), until
        except (APIStatusError, APIConnectionError, TimeoutError) as error:
            return error, until
        except AttributeError as error:
            if error.name != "getpeername":  # of a connection that was reset as it was made, as anyio has it
                raise
            return ConnectionResetError(str(error)), until
        except APIError as error:
            return Failure(f"{self._endpoint.base_url} sent a reply that is no completion ({error})"), until

    async def _lost(self, error: Exception, retries: Retries) -> Failure:
        """The failure of a call that nobody answered."""
        url = self._endpoint.base_url
        if trouble := self._server and await self._server.wait():
            return Failure(trouble, "away")
        if isinstance(error, APITimeoutError | TimeoutError):
            reason = f"{url} gave no answer in time{retries}; see timeout"
        else:
            reason = f"the connection to {url} failed{retries}"
        return Failure(reason) if await self._answers() else Failure(f"{reason}; is the server running?", "away")

    async def _answers(self) -> bool:
        """Whether the endpoint answers at all, were it by an error."""
        try:
            async with asyncio.timeout(_PING_SECONDS):
                await self._client.models.list()
        except (APIConnectionError, TimeoutError):
            return False
        except (APIError, ValueError):
            return True
        return True

    async def _before_sending(self, request: Any) -> None:
        """Keep out of every request what OPENAI_* variables hold that nobody named."""
        for name in ("OpenAI-Organization", "OpenAI-Project", *(() if self._key else ("Authorization",))):
            request.headers.pop(name, None)


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
