"""A server's state: the policy that is served, what each session spent, the decision log; and a request under way."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any
from uuid import uuid4

from hierrouter_jax.bridge.encoders import TASK, build_encoder, same_spec
from hierrouter_jax.bridge.hub import policy_folder
from hierrouter_jax.bridge.route import check_same
from hierrouter_jax.bridge.transcript import Hop
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.errors import InputError, reason_of
from hierrouter_jax.outcomes.decision_log import LogOptions, LogWriter
from hierrouter_jax.outcomes.exploration import Exploration
from hierrouter_jax.outcomes.table import Context
from hierrouter_jax.serve.conversation import Options, read_conversation
from hierrouter_jax.serve.engine import Engine
from hierrouter_jax.serve.episode import Ask, Episode, Event, FailedHop, NoAnswer
from hierrouter_jax.serve.limits import Gate, Refused, Sessions
from hierrouter_jax.serve.log_records import records_of
from hierrouter_jax.serve.members import load_members
from hierrouter_jax.serve.router import Router
from hierrouter_jax.serve.settings import ServeConfig
from hierrouter_jax.serve.shapes import Conditions, conditions_of
from hierrouter_jax.serve.telemetry import Telemetry, say

PING_SECONDS = 15.0  # between two comments that keep a silent stream open


class Service:
    """What a running server holds; made on its event loop.

    Args:
      config: settings of the server.
      router: policy, pool and encoder that it begins with.
      log: decision log, which `close` gives back; None keeps none.

    Attributes:
      engine: what carries out requests that come now.
      fingerprint: fingerprint of its policy.
      running: requests under way.
    """

    def __init__(self, config: ServeConfig, router: Router, log: LogWriter | None = None) -> None:
        self.config, self.telemetry = config, Telemetry()
        self.gate, self.sessions = Gate(config.max_requests), Sessions(config.sessions)
        self.members = load_members(router.backends, config.retries, asyncio.get_running_loop())
        self._router, self._reloading = router, asyncio.Lock()
        self._encoder = router.encoder
        self.engine, self.fingerprint = self._engine(router.bundle), router.bundle.fingerprint
        self.log, self.running = log, set[Running]()
        if router.servers is not None:
            router.servers.start()

    @property
    def actions(self) -> list[str]:
        """Names of the models in action order, and STOP."""
        return [*(member.name for member in self.members), "STOP"]

    @property
    def models(self) -> list[str]:
        """Names that a request may ask for: the router's, and those of the members that it may call directly."""
        return [self.config.name, "auto", *(member.name for member in self.members)]

    @property
    def description(self) -> dict[str, Any]:
        """What the policy that is served can be told, and in which unit it counts costs."""
        bundle = self.engine.bundle
        return {
            "policy": self.fingerprint,
            "members": [member.name for member in self.members],
            "horizon": bundle.horizon,
            "conditions": bundle.conditions,
            "cost_weight": bundle.cost_weight,
            "reads_task": TASK in bundle.encoder.get("parts", ()),
            "money_unit": bundle.money_unit,
            "explore": self.config.explore,
        }

    @property
    def ready(self) -> bool:
        """Whether requests can be answered: the servers that the pool's commands start are up, and a member is."""
        servers = self._router.servers
        return not self.gate.closed and (servers is None or servers.settled) and any(m.ready for m in self.members)

    def ask(self, body: Any, headers: Mapping[str, str], stream: bool = False) -> Ask:
        """A request of any interface as the engine takes it.

        Args:
          body: request with `model`, `turns`, `options` and `hierrouter`.
          headers: headers of the request.
          stream: whether the answer's pieces are wanted as they come.

        Raises:
          InputError: naming the field that cannot be, before any call.
          Refused: if the model is unknown.
        """
        if body.model not in self.models:
            message = f"the model {body.model[:100]!r} does not exist; there are {', '.join(self.models)}"
            raise Refused(404, message)
        conditions: Conditions = conditions_of(body.hierrouter, headers)
        session = headers.get("x-session-id", "")[:200]
        if conditions.session_budget is not None and not session:
            raise InputError("session_budget is given, but the header x-session-id names no session")
        budget = conditions.budget
        if session:
            self.engine.bundle.check_told(None, conditions.session_budget)
            left = self.sessions.left(session, conditions.session_budget)
            budget = min((one for one in (budget, left) if one is not None), default=None)
        member = "" if body.model in (self.config.name, "auto") else body.model
        if member and (conditions.budget, conditions.cost_weight, conditions.max_hops) != (None, None, None):
            raise InputError(f"model {member!r} answers by itself: budget, cost_weight and max_hops are the router's")
        conversation = read_conversation(body.turns, conditions.task)
        if len(conversation.reading.query) > self.config.max_characters:
            raise Refused(413, f"the conversation is longer than {self.config.max_characters:,} characters")
        return Ask(
            uuid4().hex,
            conversation,
            Options(body.options),
            conditions.cost_weight,
            None if member else budget,
            conditions.max_hops,
            member,
            stream,
            session,
        )

    async def reload(self) -> str:
        """Serve the policy that lies in the folder now; requests under way end with the one that they began with.

        Returns:
          The fingerprint of the policy.

        Raises:
          InputError: if it cannot be read, or is of another pool; the old one is served on.
        """
        async with self._reloading:
            bundle = await asyncio.to_thread(lambda: PolicyBundle.load(policy_folder(self.config.policy)))
            encoder = self._encoder
            if not same_spec(bundle.encoder, encoder.spec):
                encoder = await asyncio.to_thread(build_encoder, bundle.encoder)
            check_same(bundle, self._router.backends, encoder, budgeted="budget" in bundle.conditions)
            self._encoder = encoder
            self.engine, self.fingerprint = self._engine(bundle), bundle.fingerprint
        say("reloaded", policy=self.fingerprint)
        return self.fingerprint

    def finish(self, episode: Episode, engine: Engine, began: float, cancelled: bool) -> None:
        """Write down what a request that has ended did and spent."""
        if episode.ask.session_id:
            self.sessions.spend(episode.ask.session_id, episode.cost)
        if self.log is not None and not episode.ask.member:
            records = records_of(episode, engine, began, cancelled)
            if records:
                self.log.append(*records)

    async def close(self) -> None:
        """Give up what is still under way, which is written down, and give back the log's folder."""
        self.gate.closed = True
        await asyncio.gather(*(running.cancel() for running in self.running))
        if self.log is not None:
            await asyncio.to_thread(self.log.close)

    def _engine(self, bundle: PolicyBundle) -> Engine:
        self._encoder.encode([Context("what comes first takes longest")])
        explore = Exploration.parse(self.config.explore)
        return Engine(bundle, self._encoder, self._router.prompt, self.members, explore, self.config.seed)


def open_log(config: ServeConfig) -> LogWriter | None:
    """The decision log of a server; None where it keeps none.

    Raises:
      InputError: if somebody else writes there, nobody can, or the log may not be large enough.
    """
    if config.log is None:
        return None
    try:
        options = LogOptions(text=config.log_text, max_bytes=config.log_bytes)
    except InputError as error:
        raise InputError(f"log_bytes is too small: {error}") from None
    return LogWriter(config.log, options)


class Running:
    """A request under way, in a task of its own.

    Args:
      service: state of the server.
      ask: request that is to be carried out.

    Attributes:
      episode: what has been done so far.
      trouble: why it ended without an answer; None as a rule.
      task: the task that carries it out.

    Raises:
      Refused: if too many requests are under way.
      InputError: if the request cannot be answered by this policy and these members.
    """

    def __init__(self, service: Service, ask: Ask) -> None:
        self._service, self._engine = service, service.engine
        self._engine.check(ask)
        service.gate.enter()
        self.episode, self.trouble = Episode(ask), None
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._first: list[Event] = []
        self._given_up = False
        self.task = asyncio.create_task(self._run())
        service.running.add(self)
        self.task.add_done_callback(lambda _: service.running.discard(self))

    async def events(self) -> AsyncGenerator[Event | None, None]:
        """Its events as they come; None where nothing has come for a while. Leaving it cancels the request."""
        try:
            while self._first:
                yield self._first.pop()
            while True:
                try:
                    event = await asyncio.wait_for(self._events.get(), PING_SECONDS)
                except TimeoutError:
                    yield None
                    continue
                if event is None:
                    return
                yield event
        finally:
            await self.cancel()

    async def begun(self) -> None:
        """Wait for its first decision, or its end."""
        if (event := await self._events.get()) is None:
            self._events.put_nowait(None)  # `events` has to see the end, too
        else:
            self._first = [event]

    async def cancel(self) -> None:
        """Give it up, unless it has ended."""
        if not self.task.done():
            if not self._given_up:  # to cancel it once more would cut off how it ends
                self._given_up = self.task.cancel()
            await asyncio.wait([self.task])

    async def _run(self) -> None:
        began, cancelled = time.time(), True
        try:
            with self._service.telemetry.request():
                async with (
                    asyncio.timeout(self._service.config.timeout),
                    aclosing(self._engine.run(self.episode)) as events,
                ):
                    async for event in events:
                        self._note(event)
                        self._events.put_nowait(event)
            cancelled = False
        except asyncio.CancelledError:
            self.trouble = Refused(499, "the client left")
            raise
        except Exception as error:
            cancelled, self.trouble = False, self._refusal(error)
        finally:
            self._service.gate.leave()
            try:
                self._service.finish(self.episode, self._engine, began, cancelled)
            except Exception as error:  # an answer is not lost as nobody could write it down
                say("not logged", episode_id=self.episode.ask.id, reason=reason_of(error))
            self._events.put_nowait(None)

    def _note(self, event: Event) -> None:
        telemetry = self._service.telemetry
        if isinstance(event, Hop):
            telemetry.hop(event, time.time() - event.seconds)
        elif isinstance(event, FailedHop):
            telemetry.failure(event.model)

    def _refusal(self, error: Exception) -> Refused:
        if isinstance(error, Refused):
            return error
        if isinstance(error, InputError):
            return Refused(400, str(error))
        if isinstance(error, NoAnswer):
            return Refused(503, str(error), headers={"retry-after": "2"})
        if isinstance(error, TimeoutError):
            return Refused(504, f"no answer within {self._service.config.timeout:g} seconds", "timeout_error")
        say("error", reason=reason_of(error), kind=type(error).__name__)
        return Refused(500, "an error of the server; its log tells more")
