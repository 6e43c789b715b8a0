"""How a member is called: over its endpoint, or in a batch of those that wait where its weights run here."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import lru_cache
from threading import Event
from typing import Any, NamedTuple, Protocol

from hierrouter_jax.bridge.backends.interface import Backend, Failure, Generation, Piece, Settable, ToolCalls
from hierrouter_jax.bridge.prompts import cut
from hierrouter_jax.errors import InputError, reason_of
from hierrouter_jax.outcomes.table import Prompt
from hierrouter_jax.serve.conversation import LOCAL, Conversation, Options

Answer = Generation | Failure


class Call(NamedTuple):
    """One call of a member.

    Attributes:
      prompt: prompt of the hop, by the pool's layout.
      conversation: conversation that the prompt is of.
      options: what the client asks of the generation.
    """

    prompt: Prompt
    conversation: Conversation
    options: Options


class Caller(Protocol):
    """What carries out the calls of one member."""

    def refuse(self, conversation: Conversation, options: Options) -> str:
        """The name of the first thing that the member cannot be told, and why; empty where it takes everything."""
        ...

    async def answer(self, call: Call) -> Answer:
        """The answer to a call; cancelling it gives the call up."""
        ...

    def stream(self, call: Call) -> AsyncGenerator[Piece | Answer, None]:
        """The pieces of an answer as they come, and then all of it, or a failure."""
        ...


class EndpointCaller:
    """Calls of a member behind a URL.

    Args:
      backend: backend of the member, an `OpenAIBackend`.
    """

    def __init__(self, backend: Any) -> None:
        self._backend, self._config = backend, backend.config

    def refuse(self, conversation: Conversation, options: Options) -> str:
        if self._config.chat:
            return ""
        for name in ("tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort"):
            if name in options.fields:
                return f"{name}, as the member is asked without a chat template"
        more = conversation.messages is not None
        return "images or tool results, as the member is asked without a chat template" if more else ""

    async def answer(self, call: Call) -> Answer:
        fields = self._fields(call)
        answer = await self._backend.client.ask(fields)
        return answer if isinstance(answer, Failure) else _with_text(answer, cut(answer.text, fields.get("stop", ())))

    async def stream(self, call: Call) -> AsyncGenerator[Piece | Answer, None]:
        fields = self._fields(call)
        cutter = Cutter(fields.get("stop", ()))
        async with aclosing(self._backend.client.stream(fields)) as parts:
            async for part in parts:
                if isinstance(part, Piece):
                    if (text := cutter(part.text)) or part.calls:
                        yield Piece(text, part.calls)
                elif isinstance(part, Failure):
                    yield part
                else:
                    whole = _with_text(part, cut(part.text, fields.get("stop", ())))
                    if rest := whole.text[cutter.written :]:
                        yield Piece(rest)
                    yield whole

    def _fields(self, call: Call) -> dict[str, Any]:
        """The fields of the request: the pool's, and over them the client's."""
        fields = self._backend.request(call.prompt)
        fields.pop("logprobs")
        if call.conversation.messages is not None:
            fields["messages"] = call.conversation.as_messages(call.prompt, self._config.system)
        own = dict(call.options.fields)
        fields["max_tokens"] = call.options.limit(fields["max_tokens"])
        own.pop("max_tokens", None)
        if "stop" in own:
            own["stop"] = list(dict.fromkeys([*self._config.stop, *own["stop"]]))
        if "top_k" in own:
            fields["extra_body"] = {**fields.get("extra_body", {}), "top_k": own.pop("top_k")}
        if own.get("temperature") == 0:
            fields.pop("top_p", None)
        return fields | own


class LocalCaller:
    """Calls of a member whose weights run in this process: those that wait together are one batch.

    Args:
      backend: backend of the member.
      threads: executor in which batches are generated.
    """

    def __init__(self, backend: Backend, threads: ThreadPoolExecutor) -> None:
        self._backend, self._threads = backend, threads
        self._waiting: list[_Waiting] = []
        self._work: asyncio.Task | None = None
        self._with_options = lru_cache(16)(lambda options: backend.with_settings(dict(options)))  # type: ignore[attr-defined]

    def refuse(self, conversation: Conversation, options: Options) -> str:
        for name, value in options.fields.items():
            if isinstance(self._backend, Settable) and name not in LOCAL:
                return f"{name}, as the member's weights run in this process, which takes {', '.join(sorted(LOCAL))}"
            if not isinstance(self._backend, Settable) and (
                name != "max_tokens" or value < self._backend.max_new_tokens
            ):
                return f"{name}, as its backend has settings of its own alone"
        more = conversation.messages is not None
        return "images or tool results, as the member's weights run in this process" if more else ""

    async def answer(self, call: Call) -> Answer:
        answer: Answer = Failure("not called")
        async for part in self.stream(call):
            if not isinstance(part, Piece):
                answer = part
        return answer

    async def stream(self, call: Call) -> AsyncGenerator[Piece | Answer, None]:
        waiting = _Waiting(call, asyncio.get_running_loop())
        self._waiting.append(waiting)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._generate())
        written = 0
        try:
            while isinstance(part := await waiting.parts.get(), Piece):
                written += len(part.text)
                yield part
            if isinstance(part, Generation) and (rest := part.text[written:]):
                yield Piece(rest)
            yield part
        finally:
            waiting.left.set()

    async def _generate(self) -> None:
        """Batches as long as calls wait, of those with the options of the first."""
        while self._waiting:
            options = self._waiting[0].call.options
            batch = [one for one in self._waiting if one.call.options.key == options.key]
            if _draws_anew(options):  # equal prompts of one batch draw alike
                batch = list({one.call.prompt: one for one in reversed(batch)}.values())
            taken = set(batch)
            self._waiting = [one for one in self._waiting if one not in taken]
            batch = [one for one in batch if not one.left.is_set()]
            if not batch:
                continue
            run = asyncio.get_running_loop().run_in_executor(self._threads, self._answers, batch)
            try:
                answers: Sequence[Answer] = await run
            except Exception as error:
                answers = [Failure(reason_of(error), "refused" if isinstance(error, InputError) else "call")] * len(
                    batch
                )
            for one, answer in zip(batch, answers, strict=True):
                one.parts.put_nowait(answer)

    def _answers(self, batch: "list[_Waiting]") -> Sequence[Answer]:
        """Of one batch, in the thread that generates."""
        options, prompts = batch[0].call.options, [one.call.prompt for one in batch]
        if not isinstance(self._backend, Settable):
            return self._backend.generate(prompts)
        if _draws_anew(options):
            backend = self._backend.with_settings(options.fields)
        else:
            backend = self._with_options(options.key) if options.fields else self._backend
        return backend.generate_watched(prompts, lambda row, text: batch[row].add(text))


def _draws_anew(options: Options) -> bool:
    """Whether the client wants draws, and does not say which: each call then has its own."""
    return bool(options.fields.get("temperature")) and "seed" not in options.fields


class _Waiting:
    """A call that waits for its batch, and its pieces."""

    def __init__(self, call: Call, loop: asyncio.AbstractEventLoop) -> None:
        self.call, self._loop = call, loop
        self.parts: asyncio.Queue[Piece | Answer] = asyncio.Queue()
        self.left, self._written = Event(), 0

    def add(self, text: str) -> bool:
        """Hand on what is new of a text; whether somebody still waits for it."""
        if len(text) > self._written:
            self._loop.call_soon_threadsafe(self.parts.put_nowait, Piece(text[self._written :]))
            self._written = len(text)
        return not self.left.is_set()


class Cutter:
    """Cuts a streamed text before the first stop string, which may come in several pieces.

    Args:
      stop: strings that end the text.

    Attributes:
      written: characters handed on so far.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop, self._text, self.written = stop, "", 0
        self._held = max(map(len, stop), default=1) - 1

    def __call__(self, piece: str) -> str:
        """What can be handed on after one more piece: nothing that a stop string may begin with."""
        self._text += piece
        shown = cut(self._text, self._stop)
        end = len(shown) if shown != self._text else max(self.written, len(shown) - self._held)
        new, self.written = self._text[self.written : end], max(self.written, end)
        return new


def _with_text(answer: Generation, text: str) -> Generation:
    return answer if text == answer.text else changed_generation(answer, text=text)


def changed_generation(answer: Generation, **changes: Any) -> Generation:
    """The generation with other values of some fields; its tool calls stay."""
    changed = answer._replace(**changes)
    if isinstance(answer, ToolCalls) and isinstance(changed, ToolCalls):
        changed.calls = answer.calls
    return changed
