"""What a request must be before it is read: of a known host and origin, with the key, in time; what it may spend."""

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hierrouter_jax.errors import InputError
from hierrouter_jax.serve.shapes import ROUTE_HEADERS, error_body, kind_of

OPEN = ("/healthz", "/readyz")  # asked by who keeps the server up, without a key
_NEED_KEY = ("/v1", "/admin", "/metrics", "/docs", "/openapi")  # all but the page, which holds nothing of anybody's
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Refused(HTTPException):
    """A request that is not carried out.

    Args:
      status: HTTP status of the answer.
      message: one sentence for the client.
      kind: kind of the error, as OpenAI's interface names them.
      headers: further headers of the answer.
    """

    def __init__(self, status: int, message: str, kind: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(status, message, headers)
        self.kind = kind or kind_of(status)


def address_of(scope: Scope) -> str:
    """The path of a request as the server's own addresses write it, of which there are few; 'other' for all else."""
    for route in scope["app"].routes:
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            return route.path
    return "other"


class Guard:
    """Refuses requests of foreign hosts and origins, without the key, or that trickle in too slowly.

    Args:
      app: application behind it.
      key: key that clients must send; None asks for none.
      hosts: names by which the server may be called; empty allows all.
      origins: web pages that may call it, beside its own.
      max_body: most bytes of a request.
      body_seconds: seconds within which a request must have arrived.
      note: called with the scope of each request that is refused here, and the status of its answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        key: str | None,
        hosts: Sequence[str],
        origins: Sequence[str],
        max_body: int,
        body_seconds: float,
        note: Callable[[Scope, int], None],
    ) -> None:
        self._app, self._key, self._note = app, key, note
        self._max_body, self._body_seconds = max_body, body_seconds
        self._hosts, self._origins = {host.lower() for host in hosts}, set(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        refused = self._refused(scope["path"], headers)
        if refused is not None:
            self._note(scope, refused.status_code)
            return await refused(scope, receive, send)
        deadline, size, over = time.monotonic() + self._body_seconds, 0, False

        async def receive_in_time() -> Message:
            nonlocal size, over
            if over:
                return await receive()
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                words = f"the request did not arrive within {self._body_seconds:g} seconds"
                raise Refused(408, words, headers={"connection": "close"}) from None
            size += len(message.get("body", b""))
            if size > self._max_body:
                raise self._too_large()
            over = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        await self._app(scope, receive_in_time, send)

    def _foreign(self, origin: str, host: str) -> bool:
        """Whether pages of an origin are neither the server's own nor allowed."""
        try:
            return origin not in self._origins and (not host or urlsplit(origin).netloc != host)
        except ValueError:  # it is no address
            return True

    def _too_large(self) -> Refused:
        words = f"the request is larger than {self._max_body:,} bytes"
        return Refused(413, words, headers={"connection": "close"})

    def _refused(self, path: str, headers: Headers) -> Response | None:
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_body:
            large = self._too_large()
            return _response(path, 413, large.detail, large.headers)
        host = _name_of(headers.get("host", ""))
        if self._hosts and host not in self._hosts:
            return _response(path, 403, f"this server is not called {host[:100]!r}; see --allowed_hosts")
        origin = headers.get("origin")
        if origin is not None and self._foreign(origin, headers.get("host", "")):
            return _response(path, 403, f"pages of {origin[:100]!r} may not call this server; see --allowed_origins")
        if self._key is None or path in OPEN or not path.startswith(_NEED_KEY):
            return None
        scheme, _, sent = headers.get("authorization", "").partition(" ")
        keys = [sent.strip() if scheme.lower() == "bearer" else "", headers.get("x-api-key", "")]
        if any(hmac.compare_digest(one.encode(), self._key.encode()) for one in keys):
            return None
        return _response(path, 401, "the key is missing or wrong", {"www-authenticate": "Bearer"})


def let_pages_in(app: Starlette, origins: Sequence[str]) -> None:
    """Have an application tell browsers that pages of these origins may call it, and read what it answers.

    To be added last, so that pages can read refusals, too; what browsers ask beforehand holds no key.
    """
    if origins:
        every: dict[str, Any] = {"allow_methods": ["*"], "allow_headers": ["*"], "allow_private_network": True}
        app.add_middleware(CORSMiddleware, allow_origins=origins, expose_headers=ROUTE_HEADERS, **every)


def hosts_of(host: str, allowed: Sequence[str], key: str | None) -> tuple[str, ...]:
    """The names by which a server may be called; empty is all."""
    if allowed:
        return tuple(allowed)
    return () if key is not None else (*_LOOPBACK, host)


def _name_of(host: str) -> str:
    """A Host header without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return host.lower()


def _response(path: str, status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(error_body(path, status, message), status, headers)


class Gate:
    """Lets no more requests through than may be under way.

    Args:
      most: largest number of requests under way.

    Attributes:
      under_way: requests that are.
      closed: whether no further request is let through, as the server ends.
    """

    def __init__(self, most: int) -> None:
        self._most, self.under_way, self.closed = most, 0, False

    def enter(self) -> None:
        """Count one more request, until `leave`.

        Raises:
          Refused: with 429 where there are as many as may be, with 503 where the server ends.
        """
        if self.closed:
            raise Refused(503, "the server is ending", headers={"retry-after": "5"})
        if self.under_way >= self._most:
            message = f"{self._most} requests are under way, as many as may be; try again"
            raise Refused(429, message, "rate_limit_error", {"retry-after": "1"})
        self.under_way += 1

    def leave(self) -> None:
        self.under_way -= 1


class Sessions:
    """What each session has spent, and may; its budget holds for turns that come one after the other.

    What a turn costs is known at its end, so each of several that are under way at once may spend all that is left.

    Args:
      most: largest number of sessions that are remembered.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._sessions: OrderedDict[str, tuple[float, float | None]] = OrderedDict()

    def left(self, session: str, budget: float | None) -> float | None:
        """Money that the session has left; None is without limit.

        Args:
          session: id of the session.
          budget: money that the session may spend in all, from now on; None keeps what an earlier turn said.

        Raises:
          InputError: if it has spent all of it.
        """
        spent, before = self._sessions.pop(session, (0.0, None))
        limit = before if budget is None else budget
        self._sessions[session] = spent, limit
        while len(self._sessions) > self._most:
            self._sessions.popitem(last=False)
        if limit is None:
            return None
        if spent >= limit and spent:
            raise InputError(f"the session has spent {spent:g} of its budget of {limit:g}")
        return limit - spent

    def spend(self, session: str, cost: float) -> None:
        """Add the cost of a request to its session."""
        if session in self._sessions:
            spent, limit = self._sessions[session]
            self._sessions[session] = spent + cost, limit
