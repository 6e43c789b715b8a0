"""What a server tells of itself: metrics for Prometheus, spans for OpenTelemetry, a line of JSON for each request."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from opentelemetry import trace
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from hierrouter_jax.bridge.transcript import Hop
from hierrouter_jax.serve.episode import Episode
from hierrouter_jax.serve.members import Member
from hierrouter_jax.serve.shapes import tokens_of

# Names of OpenTelemetry's conventions for generative models, which still change: they stand here alone.
OPERATION, SYSTEM, MODEL = "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"
TOKENS_IN, TOKENS_OUT, REASONS = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.response.finish_reasons",
)

_FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_SLOW = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0)
_MOST_ROUTES = 200  # different routes that are counted apart; more would swell the metrics without end


class Telemetry:
    """Metrics, spans and log lines of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        whole: dict[str, Any] = {"registry": self.registry}
        self._requests = Counter("hierrouter_requests", "Requests by path and status", ["path", "status"], **whole)
        self._under_way = Gauge("hierrouter_requests_under_way", "Requests under way", **whole)
        self._seconds = Histogram("hierrouter_request_seconds", "Seconds of a request", buckets=_SLOW, **whole)
        outside = "Seconds of a request outside its members' calls"
        self._overhead = Histogram("hierrouter_overhead_seconds", outside, buckets=_FAST, **whole)
        self._routes = Counter("hierrouter_routes", "Requests by their route", ["route"], **whole)
        by_member: dict[str, Any] = {"labelnames": ["member"], **whole}
        self._hops = Counter("hierrouter_hops", "Answered calls", **by_member)
        self._failures = Counter("hierrouter_failed_calls", "Calls without a response", **by_member)
        self._tokens_in = Counter("hierrouter_tokens_in", "Tokens read", **by_member)
        self._tokens_out = Counter("hierrouter_tokens_out", "Tokens written", **by_member)
        self._cost = Counter("hierrouter_cost", "Cost, in the pool's money unit", **by_member)
        self._hop_seconds = Histogram("hierrouter_hop_seconds", "Seconds of a call", buckets=_SLOW, **by_member)
        self._open = Gauge("hierrouter_breaker_open", "1 while no call of the member is made", **by_member)
        self._lost = Gauge("hierrouter_log_lost", "Decisions that the log could not keep", **whole)
        self._tracer = trace.get_tracer("hierrouter_jax.serve")
        self._known_routes: set[str] = set()

    @contextmanager
    def request(self) -> Iterator[Any]:
        """A request under way, with a span of its own."""
        self._under_way.inc()
        try:
            with self._tracer.start_as_current_span(
                "route", attributes={OPERATION: "chat", SYSTEM: "hierrouter"}
            ) as span:
                yield span
        finally:
            self._under_way.dec()

    def hop(self, hop: Hop, began: float) -> None:
        """A call that was answered.

        Args:
          hop: what it gave.
          began: time when it began, in seconds since 1970.
        """
        self._hops.labels(hop.model).inc()
        self._tokens_in.labels(hop.model).inc(hop.tokens_in)
        self._tokens_out.labels(hop.model).inc(hop.tokens_out)
        self._cost.labels(hop.model).inc(hop.cost)
        self._hop_seconds.labels(hop.model).observe(hop.seconds)
        attributes = {OPERATION: "chat", MODEL: hop.model, TOKENS_IN: hop.tokens_in, TOKENS_OUT: hop.tokens_out}
        attributes |= {REASONS: (hop.finish_reason,), "hierrouter.probability": hop.probability}
        span = self._tracer.start_span(f"chat {hop.model}", start_time=int(began * 1e9), attributes=attributes)
        span.end()

    def failure(self, model: str) -> None:
        """A call without a response."""
        self._failures.labels(model).inc()

    def done(self, path: str, status: int, episode: Episode | None = None) -> None:
        """A request that has ended; one line of the log, without any text of its own.

        Args:
          path: path of the interface that was asked, one of few.
          status: HTTP status of the answer.
          episode: what was done, where it came so far.
        """
        self._requests.labels(path, str(status)).inc()
        line: dict[str, Any] = {"event": "request", "path": path, "status": status}
        if episode is not None:
            self._seconds.observe(episode.seconds)
            self._overhead.observe(episode.overhead)
            route = ",".join(hop.model for hop in episode.hops)
            self._routes.labels(self._counted(route)).inc()
            line |= {"episode_id": episode.ask.id, "route": route, "cost": episode.cost}
            line |= dict(zip(("tokens_in", "tokens_out"), tokens_of(episode), strict=True))
            line |= {"seconds": round(episode.seconds, 6), "overhead_ms": round(1e3 * episode.overhead, 3)}
            line |= {"failed": [lost.model for _, lost in episode.failed], "session_id": episode.ask.session_id}
        _logger.info("request", extra={"line": line})

    def page(self, members: list[Member], lost: int) -> bytes:
        """All metrics as Prometheus reads them."""
        for member in members:
            self._open.labels(member.name).set(not member.ready)
        self._lost.set(lost)
        return generate_latest(self.registry)

    def _counted(self, route: str) -> str:
        if route not in self._known_routes and len(self._known_routes) >= _MOST_ROUTES:
            return "other"
        self._known_routes.add(route)
        return route


_logger = logging.getLogger("hierrouter_jax.serve")


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": datetime.fromtimestamp(record.created, UTC).isoformat(), "level": record.levelname.lower()}
        line |= getattr(record, "line", {"event": record.getMessage()})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to_stderr() -> None:
    """Write this package's and uvicorn's log lines as JSON to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("hierrouter_jax", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO if name == "hierrouter_jax" else logging.WARNING)


def say(event: str, **values: Any) -> None:
    """One line of the log that is of no request."""
    _logger.info(event, extra={"line": {"event": event, **values}})
