"""A router in Python: a policy, its pool, and questions."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any
from uuid import uuid4

from hierrouter_jax.bridge.backends import Backend, load_backends
from hierrouter_jax.bridge.encoders import Encoder, build_encoder
from hierrouter_jax.bridge.hub import policy_folder
from hierrouter_jax.bridge.pool import load_pool
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.bridge.route import check_same, route
from hierrouter_jax.bridge.servers import Servers
from hierrouter_jax.bridge.transcript import Transcript
from hierrouter_jax.bundle import PolicyBundle
from hierrouter_jax.config import config_path
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Query
from hierrouter_jax.serve.conversation import Options, read_conversation
from hierrouter_jax.serve.episode import Ask, Episode, NoAnswer

Messages = Sequence[Mapping[str, Any]]


class Router:
    """Answers questions by a policy and its pool. What `load` gives is to be closed, or used in a `with` block.

    Args:
      bundle: bundle of the policy.
      backends: the pool that it was trained on, in action order.
      encoder: encoder of the bundle.
      prompt: layout that the table was collected with.
      servers: servers of the pool's commands, stopped by `close`.

    Raises:
      InputError: if pool or encoder are not the policy's; of a budgeted policy also if the pool's limits are others.
    """

    def __init__(
        self,
        bundle: PolicyBundle,
        backends: Sequence[Backend],
        encoder: Encoder,
        prompt: HopPrompt,
        servers: Servers | None = None,
    ) -> None:
        check_same(bundle, backends, encoder, budgeted="budget" in bundle.conditions)
        self.bundle, self.backends, self.encoder, self.prompt = bundle, tuple(backends), encoder, prompt
        self.servers, self._logs = servers, None
        self._engines: dict[asyncio.AbstractEventLoop, Any] = {}

    @classmethod
    def load(cls, policy: Path | str, pool: str | Path, logs: Path | None = None) -> "Router":
        """A router from a bundle's folder and a pool's preset or file; endpoints with a command are started at need.

        Args:
          policy: folder of the bundle, or hf://OWNER/NAME of one on the hub.
          pool: preset or YAML file of the pool that the policy was trained on.
          logs: folder of the logs of servers that are started; by default one that is gone after `close`.

        Raises:
          InputError: if one of them cannot be read, or the pool is not the policy's.
        """
        bundle, config = PolicyBundle.load(policy_folder(policy)), load_pool(config_path(str(pool)))
        temporary = None
        if logs is None:
            temporary = TemporaryDirectory(prefix="hierrouter-servers-")
            logs = Path(temporary.name)
        servers = Servers(logs)
        router = cls(bundle, load_backends(config, servers), build_encoder(bundle.encoder), config.prompt, servers)
        router._logs = temporary
        return router

    def route(
        self,
        question: str | Query | Messages,
        *,
        cost_weight: float | None = None,
        budget: float | None = None,
        max_hops: int | None = None,
        task: str = "",
    ) -> Transcript:
        """Route one question, or the last turn of a conversation.

        Args:
          question: a text, or the messages of a chat completion.
          cost_weight: cost weight that a cost-conditioned policy is to serve; by default its own.
          budget: largest cost of the route, in the pool's money unit, for a budgeted policy.
          max_hops: largest number of hops; by default the policy's horizon.
          task: task that it is of, for a policy that reads the task.

        Returns:
          The answer, the route, and of each hop its response, probabilities, tokens, cost and seconds.

        Raises:
          InputError: before any call, as of `route_many`; or if no call was answered.
        """
        settings: dict[str, Any] = {"cost_weight": cost_weight, "budget": budget, "max_hops": max_hops, "task": task}
        if isinstance(question, str | Query):
            questions: Any = [question]  # of one kind
            return self.route_many(questions, **settings, progress=False)[0]
        try:
            return asyncio.run(self.aroute(question, **settings))
        except NoAnswer as error:
            raise InputError(str(error)) from None

    def route_many(
        self,
        questions: Sequence[str] | Sequence[Query],
        *,
        cost_weight: float | None = None,
        budget: float | None = None,
        max_hops: int | None = None,
        task: str = "",
        batch_size: int = 512,
        progress: bool = True,
    ) -> list[Transcript]:
        """Route many questions, all of them a stage at a time; see `bridge.route.route`."""
        return route(
            questions,
            self.bundle,
            self.backends,
            self.encoder,
            self.prompt,
            batch_size,
            progress,
            cost_weight,
            budget,
            task,
            max_hops,
        )

    async def aroute(
        self,
        question: str | Messages,
        *,
        cost_weight: float | None = None,
        budget: float | None = None,
        max_hops: int | None = None,
        task: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> Transcript:
        """Route one question while others are under way: decisions, and calls of members that run here, are shared.

        A member that fails is left out, and the route goes on without it. Cancelling gives the call under way up.

        Args:
          question: a text, or the messages of a chat completion.
          cost_weight, budget, max_hops, task: conditions of the route, as `route` takes them.
          options: fields of a chat completion for every hop, such as `temperature` and `max_tokens`.

        Raises:
          InputError: before any call, if the request makes no sense, or the conversation fits no member.
          NoAnswer: if no member answers.
        """
        messages = [{"role": "user", "content": question}] if isinstance(question, str) else question
        conversation = read_conversation(messages, task)
        ask = Ask(uuid4().hex, conversation, Options(dict(options or {})), cost_weight, budget, max_hops)
        episode = Episode(ask)
        async for _ in self.engine().run(episode):
            pass
        return episode.transcript

    def engine(self) -> Any:
        """What carries out requests on the running event loop, one for each loop."""
        from hierrouter_jax.serve.engine import Engine
        from hierrouter_jax.serve.members import load_members

        loop = asyncio.get_running_loop()
        if loop not in self._engines:
            self._engines = {other: engine for other, engine in self._engines.items() if not other.is_closed()}
            members = load_members(self.backends)
            self._engines[loop] = Engine(self.bundle, self.encoder, self.prompt, members)
        return self._engines[loop]

    def close(self) -> None:
        """Stop the servers that were started."""
        if self.servers is not None:
            self.servers.__exit__(None, None, None)
        if self._logs is not None:
            self._logs.cleanup()

    def __enter__(self) -> "Router":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
