"""A request from its first decision to its answer: decide, call, and decide again, around members that fail."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float

from hierrouter_jax.bridge.backends.interface import Backend, Failure, Generation, NoTokenizer, Piece, ToolCalls
from hierrouter_jax.bridge.encoders import Encoder
from hierrouter_jax.bridge.fitting import fitted_prompts
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.bridge.route import check_task, hops_at_most
from hierrouter_jax.bridge.transcript import hop_of, so_far
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.exploration import Exploration, distribution, sample
from hierrouter_jax.outcomes.pricing import check_budget
from hierrouter_jax.outcomes.table import Prompt
from hierrouter_jax.serve.callers import Call
from hierrouter_jax.serve.conversation import Options
from hierrouter_jax.serve.decisions import Decider, Reading, State, softmax
from hierrouter_jax.serve.episode import Ask, Choice, Episode, Event, FailedHop, NoAnswer
from hierrouter_jax.serve.members import Member

GREEDY = Exploration()
_NEVER = 1e300  # charge of a model that cannot be called: above every budget, and still a number


class Engine:
    """What carries out requests: a policy, its encoder, and the pool's members.

    Args:
      bundle: bundle of the policy.
      encoder: encoder of the bundle.
      prompt: layout of the hops' prompts.
      members: members of the pool, in action order.
      explore: how actions are drawn.
      seed: seed of the draws; None for other draws each time.
    """

    def __init__(
        self,
        bundle: PolicyBundle,
        encoder: Encoder,
        prompt: HopPrompt,
        members: Sequence[Member],
        explore: Exploration = GREEDY,
        seed: int | None = None,
    ) -> None:
        self.bundle, self.members, self.explore = bundle, list(members), explore
        self._prompt, self._decider, self._rng = prompt, Decider(bundle, encoder), np.random.default_rng(seed)
        self._encoder, self.fingerprint = encoder, bundle.fingerprint

    @property
    def encoder_spec(self) -> dict[str, Any]:
        return self._encoder.spec

    def check(self, ask: Ask) -> None:
        """Refuse what cannot be answered, before any call.

        Raises:
          InputError: naming what the policy was not trained for, or the option that a member cannot be told.
        """
        self.bundle.check_told(ask.cost_weight, ask.budget)
        hops_at_most(self.bundle, ask.max_hops)
        asking = ask.conversation.asking
        check_task(self.bundle, ["the request"], [ask.conversation.reading], asking.task)
        members = [member for member in self.members if member.name == ask.member or not ask.member]
        if not members:
            names = ", ".join(member.name for member in self.members)
            raise InputError(f"model {ask.member!r} is none of this server's; its members are {names}")
        for member in members:
            if refused := member.caller.refuse(ask.conversation, ask.options):
                raise InputError(f"member {member.name!r} cannot be told {refused}")

    async def run(self, episode: Episode) -> AsyncGenerator[Event, None]:
        """Carry out a request; its events as they come, its result in the episode.

        Raises:
          InputError: before any call, as of `check`, or where the conversation fits no member's context window.
          NoAnswer: if no member answers, or one breaks off that was streamed.
        """
        began, ask = time.perf_counter(), episode.ask
        self.check(ask)
        horizon = 1 if ask.member else hops_at_most(self.bundle, ask.max_hops)
        try:
            for stage in range(horizon):
                async with aclosing(self._hop(episode, stage, horizon)) as events:
                    async for event in events:
                        yield event
                if episode.stopped or episode.calls or episode.trouble:
                    break
        finally:
            episode.seconds = time.perf_counter() - began

    async def _hop(self, episode: Episode, stage: int, horizon: int) -> AsyncGenerator[Event, None]:
        """Decisions and calls of one stage, until one of them gives a response or the route ends."""
        ask, barred = episode.ask, dict[str, str]()
        while True:
            prompts, masked = self._prompts(episode, barred)
            if not stage:
                self._check_callable(prompts, masked, barred)
            choice = await self.choose(episode, stage, horizon, prompts, masked)
            if choice is None and not episode.hops:
                raise NoAnswer(_told(masked))
            if choice is None:
                episode.trouble = f"no model could be called after hop {stage} ({_told(masked)})"
                return
            if len(episode.choices) > stage:
                episode.choices.pop()
            episode.choices.append(choice)
            yield choice
            if choice.action == len(self.members):
                episode.stopped = True
                return
            member, (prompt, trimmed) = self.members[choice.action], prompts[self.members[choice.action].name]
            call = Call(prompt, ask.conversation.after(episode.hops), ask.options)
            answer, streamed, began = None, False, time.perf_counter()
            try:
                async with aclosing(member.run(call, ask.stream and choice.last)) as parts:
                    async for part in parts:
                        if isinstance(part, Piece):
                            streamed = True
                            yield part
                        else:
                            answer = part
            finally:
                seconds = time.perf_counter() - began
                episode.waiting += seconds
            if isinstance(answer, Generation):
                hop = hop_of(member.backend, answer, choice.probabilities, choice.action, trimmed)
                episode.hops.append(replace(hop, propensity=float(choice.probs[choice.action])))
                episode.calls = answer.calls if isinstance(answer, ToolCalls) else ()
                yield episode.hops[-1]
                return
            reason = answer.reason if isinstance(answer, Failure) else "gave no answer"
            lost = FailedHop(member.name, reason, seconds, choice.probs)
            episode.failed.append((stage, lost))
            if streamed:
                episode.trouble = f"model {member.name!r} broke off: {reason}"
                raise NoAnswer(episode.trouble)
            barred[member.name] = reason
            yield lost

    async def choose(
        self,
        episode: Episode,
        stage: int,
        horizon: int,
        prompts: dict[str, tuple[Prompt, int]],
        masked: dict[str, str],
    ) -> Choice | None:
        """The decision at a stage; None where no model can be called and the route ends with what it has.

        Args:
          episode: the request under way.
          stage: number of hops done.
          horizon: largest number of hops.
          prompts: prompt of each model that can be called, and how many tokens of responses it leaves out.
          masked: models that cannot be called, with the reason.

        Raises:
          InputError: if the budget pays for no first call.
          NoAnswer: if it pays for one of a model that cannot be called now, and for no other.
        """
        ask, spent = episode.ask, episode.cost
        charges = self._charges(prompts) if ask.budget is not None else None
        if not stage and ask.budget is not None and charges is not None and (charges > ask.budget).all():
            self._refuse_budget(episode, ask.budget, masked)
        if ask.member:
            reading = Reading(np.zeros(0, np.float32), np.full(len(self.members) + 1, -np.inf))
            reading.logits[[member.name for member in self.members].index(ask.member)] = 0.0
        else:
            context = so_far(ask.conversation.reading, episode.hops)
            reading = await self._decider.read(State(context, stage, spent, ask.cost_weight, ask.budget, charges))
        possible = np.array([*(member.name in prompts for member in self.members), True])
        logits = np.where(possible, reading.logits, -np.inf)
        if not np.isfinite(logits).any():
            return None
        probs = distribution(logits, np.isfinite(logits), self.explore, self.bundle.ties)
        action = int(probs.argmax() if self.explore.kind == "none" else sample(probs, self._rng))
        last = stage + 1 == horizon or (action < len(self.members) and self._leaves_nothing(episode, action))
        return Choice(
            stage, action, np.isfinite(logits), softmax(logits), probs, reading.embedding, charges, masked, last, spent
        )

    def _prompts(
        self, episode: Episode, barred: dict[str, str], resting: bool = False
    ) -> tuple[dict[str, tuple[Prompt, int]], dict[str, str]]:
        """The prompt of each member that can be called now, with the tokens that it leaves out; the others' reasons.

        Where the request names a member, of that one alone; with `resting` also of those whose breaker is open.
        """
        context = so_far(episode.ask.conversation.asking, episode.hops)
        prompts, masked = {}, dict(barred)
        for member in self.members:
            if member.name in barred or episode.ask.member not in ("", member.name):
                continue
            if not (member.ready or resting):
                masked[member.name] = "its circuit breaker is open after failures"
                continue
            limits: Any = _Limits(member.backend, episode.ask.options)
            try:
                fitted, trimmed = fitted_prompts(self._prompt, [context], limits)
                prompts[member.name] = fitted[0], trimmed[0]
            except NoTokenizer:
                raise
            except InputError as error:
                masked[member.name] = str(error)
        return prompts, masked

    async def first(self, episode: Episode) -> tuple[Choice, dict[str, Prompt]]:
        """The first decision of a request and the prompts that would be sent; nothing is called.

        Raises:
          InputError, NoAnswer: as of `run`.
        """
        self.check(episode.ask)
        prompts, masked = self._prompts(episode, {})
        self._check_callable(prompts, masked, {})
        horizon = hops_at_most(self.bundle, episode.ask.max_hops)
        choice = await self.choose(episode, 0, horizon, prompts, masked)
        if choice is None:
            raise NoAnswer(_told(masked))
        return choice, {name: prompt for name, (prompt, _) in prompts.items()}

    def _check_callable(self, prompts: dict[str, Any], masked: dict[str, str], barred: dict[str, str]) -> None:
        """Refuse to go on where no member can be called at all: by their fault, or the conversation's."""
        if not prompts:
            paused = any(member.name in masked and not member.ready for member in self.members)
            raise NoAnswer(_told(masked)) if barred or paused else InputError(_told(masked))

    def _refuse_budget(self, episode: Episode, budget: float, masked: dict[str, str]) -> NoReturn:
        """Refuse a budget that pays for nobody who can be called now: by its fault, or by that of members."""
        check_budget(budget, self._charges_of_all(episode).min(keepdims=True), None, self.bundle.money_unit)
        raise NoAnswer(f"no model that the budget pays for could be called ({_told(masked)})")

    def _charges(self, prompts: dict[str, tuple[Prompt, int]]) -> Float[np.ndarray, " M"]:
        """The most that each model's call can cost; more than any budget for one that cannot be called."""
        charges = []
        for member in self.members:
            if member.name not in prompts:
                charges.append(_NEVER)
                continue
            tokens = member.backend.count_tokens([prompts[member.name][0]])[0]
            charges.append(member.backend.price.cost(tokens, member.backend.max_new_tokens))
        return np.array(charges)

    def _charges_of_all(self, episode: Episode) -> Float[np.ndarray, " M"]:
        """As `_charges`, also of members that have just failed or are paused: the next hop may call them again."""
        return self._charges(self._prompts(episode, {}, resting=True)[0])

    def _leaves_nothing(self, episode: Episode, action: int) -> bool:
        """Whether after this call the budget pays for no other, as prompts only grow from hop to hop."""
        budget = episode.ask.budget
        if budget is None or self._prompt.responses != "all" or self._prompt.members:
            return False
        charges, called = self._charges_of_all(episode), self.members[action].backend
        least = charges[action] - called.price.cost(0, called.max_new_tokens)  # it reads its prompt in any case
        return bool((charges > budget - episode.cost - least).all())


def _told(masked: dict[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in masked.items())


class _Limits:
    """A backend as far as its context window goes, under a request's own limit of tokens."""

    def __init__(self, backend: Backend, options: Options) -> None:
        self.name, self.positions, self.count_tokens = backend.name, backend.positions, backend.count_tokens
        self.max_new_tokens = options.limit(backend.max_new_tokens)
