"""The pool's members as a server calls them: each call by itself, behind a circuit breaker."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OPENED, OpenedState

from hierrouter_jax.bridge.backends.interface import Backend, Failure, Generation, Piece
from hierrouter_jax.errors import InputError
from hierrouter_jax.serve.callers import Answer, Call, Caller, EndpointCaller, LocalCaller, changed_generation


class Member:
    """A member of the pool behind its circuit breaker.

    After three failures in a row no call is made for two seconds; then one is tried, and its success lets all go on.

    Args:
      backend: backend of the member.
      caller: what carries out its calls.
      breakers: factory of the pool's circuit breakers.

    Attributes:
      name: name of the member.
      calls, tokens_out: answered calls so far, and the tokens that they wrote.
    """

    THRESHOLD, PAUSE_SECONDS = 3, 2.0

    def __init__(self, backend: Backend, caller: Caller, breakers: AsyncCircuitBreakerFactory) -> None:
        self.name, self.backend, self.caller = backend.name, backend, caller
        self.calls, self.tokens_out = 0, 0
        self._breakers, self._breaker, self._trying = breakers, None, 0

    @property
    def state(self) -> str:
        """State of the circuit breaker: closed, opened or half-opened."""
        return "closed" if self._breaker is None else self._breaker.context.state

    @property
    def ready(self) -> bool:
        """Whether it may be called now: its breaker is closed, or it is time to try once."""
        if self._breaker is None or self.state == "closed":
            return True
        opened = self._breaker.context.opened_at
        paused = self.state == OPENED and opened is not None and time.time() <= opened + self.PAUSE_SECONDS
        return not paused and not self._trying

    @property
    def mean_tokens_out(self) -> float | None:
        """Mean tokens written by an answered call; None before any."""
        return self.tokens_out / self.calls if self.calls else None

    async def run(self, call: Call, streamed: bool) -> AsyncGenerator[Piece | Answer, None]:
        """The answer to a call, where it is to be streamed behind its pieces; with the seconds that it took in all."""
        began, answer = time.perf_counter(), Failure("not called")
        self._trying += 1
        try:
            if streamed:
                async with aclosing(self.caller.stream(call)) as parts:
                    async for part in parts:
                        if isinstance(part, Piece):
                            yield part
                        else:
                            answer = part
            else:
                answer = await self.caller.answer(call)
        except InputError as error:  # of a backend that refuses every call
            answer = Failure(str(error), "away")
        finally:
            self._trying -= 1
        await self._record(answer)
        yield _lasting(answer, time.perf_counter() - began)

    async def _record(self, answer: Answer) -> None:
        """Tell the breaker; a refusal is the call's own fault more often than the member's, and does not count."""
        if isinstance(answer, Generation):
            self.calls, self.tokens_out = self.calls + 1, self.tokens_out + answer.tokens_out
        elif answer.scope == "refused":
            return
        if self._breaker is None:
            self._breaker = await self._breakers.get_breaker(self.name, self.THRESHOLD, self.PAUSE_SECONDS)
        try:
            async with self._breaker:
                if isinstance(answer, Failure):
                    raise _CallFailed
        except (OpenedState, _CallFailed):
            pass


class _CallFailed(Exception):
    """A call gave no answer."""


def load_members(
    backends: Sequence[Backend], retries: int | None = None, home: asyncio.AbstractEventLoop | None = None
) -> list[Member]:
    """The members of a pool, in action order.

    Args:
      backends: backends of the pool.
      retries: most retries of a call, where that is fewer than its endpoint says.
      home: event loop that lasts as long as the backends, on which endpoints are called without a thread between.
    """
    threads = ThreadPoolExecutor(1, "generate")  # members that run here share the processor, or the GPU
    breakers = AsyncCircuitBreakerFactory()
    members = []
    for backend in backends:
        client = getattr(backend, "client", None)
        if client is None:
            members.append(Member(backend, LocalCaller(backend, threads), breakers))
            continue
        client.home = client.home or home
        if retries is not None:
            client.retries = min(client.retries, retries)
        members.append(Member(backend, EndpointCaller(backend), breakers))
    return members


def _lasting(answer: Answer, seconds: float) -> Answer:
    """The answer with the seconds that its call took in all, waiting and retries included."""
    return answer if isinstance(answer, Failure) else changed_generation(answer, latency=seconds)
