"""The backend that calls an OpenAI-compatible endpoint: vLLM, SGLang, llama.cpp, `transformers serve`, a vendor."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from hierrouter_jax.bridge.backends.drive import Doubt, drive
from hierrouter_jax.bridge.backends.endpoint import EndpointClient
from hierrouter_jax.bridge.backends.interface import Answers, Failure, Generation, NoTokenizer
from hierrouter_jax.bridge.backends.refusals import read_key
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig, member_size, resolve_source
from hierrouter_jax.bridge.pool.identity import call_identity, decoding_fields, family
from hierrouter_jax.bridge.pool.source import description, reach
from hierrouter_jax.bridge.pretrained import from_pretrained, loading
from hierrouter_jax.bridge.prompts import as_messages, as_text, cut, digest_of_call
from hierrouter_jax.bridge.servers import Servers
from hierrouter_jax.errors import InputError, reason_of
from hierrouter_jax.outcomes.table import Prompt


class OpenAIBackend:
    """A model behind a URL.

    Args:
      config: the pool member, of kind `openai`.
      pool: the one it is a member of, which says how tokens are priced.
      servers: the servers of this run, needed where the endpoint has a command.

    Attributes:
      config: the pool member.
      client: client of its endpoint, which makes the calls.

    Raises:
      InputError: if the environment variable that should hold the key does not, its source cannot be loaded, its
        command names no program, or nobody carries it out, or the environment's proxies or certificates let no client
        be made.
    """

    def __init__(self, config: ModelConfig, pool: PoolConfig, servers: Servers | None = None) -> None:
        if config.endpoint is None:
            raise InputError(f"model {config.name!r}: an openai backend needs an endpoint")
        self.config, self._endpoint, self._server = config, config.endpoint, None
        if config.endpoint.command:
            if servers is None:
                raise InputError(
                    f"model {config.name!r}: its endpoint has a command, which is carried out by collect, without "
                    "--ray, by route and by serve; in Python load the pool with servers=Servers(folder), in a with "
                    "block"
                )
            self._endpoint, self._server = servers.serve(config)
        self.name = config.name
        self.max_new_tokens = config.max_new_tokens
        known = _model_config(config)
        size = None
        if config.size_basis:
            with loading(f"model {config.name!r}", config.size_basis):
                size = member_size(config, known)
        self.parameters: int | None = None if size is None else size.parameters
        flops = None if size is None else size.flops_per_token
        self.price = replace(pool.price(config, self.parameters), flops_per_token=flops)
        self.positions: int | None = reach(config, known)
        self.identity, self.family = call_identity(config), family(config)
        key = read_key(config.name, self._endpoint)
        self.client = EndpointClient(self._endpoint, config.chat, key, config.max_new_tokens, self._server)

    @property
    def downtime(self) -> float:
        """Seconds that a server of this run took to start, all its starts together."""
        return 0.0 if self._server is None else self._server.downtime

    def generate(self, prompts: Sequence[Prompt]) -> list[Generation | Failure]:
        """One generation, or the reason why there is none, for each prompt, in order.

        Raises:
          InputError: if nothing was answered, as the endpoint refuses the first calls, all of them, or is away.
        """
        answers: Answers = {}
        lost = Failure("not called")
        try:
            for part in drive(self, [list(dict.fromkeys(prompts))], Doubt()):
                answers |= part
        except InputError as error:
            if not any(isinstance(answer, Generation) for answer in answers.values()):
                raise
            lost = Failure(str(error), "away")  # what was answered is paid for
        return [answers.get(prompt, lost) for prompt in prompts]

    def generate_each(self, prompts: Iterator[Prompt | None]) -> Generator[Answers, None, None]:
        """Answers as they come, `concurrency` calls under way as long as prompts last; see `Streaming`."""
        stop = self.config.stop  # `transformers serve` leaves it in the text
        requests = (None if prompt is None else (prompt, self.request(prompt)) for prompt in prompts)
        for part in self.client.ask_each(requests):
            yield {
                prompt: answer._replace(text=cut(answer.text, stop)) if isinstance(answer, Generation) else answer
                for prompt, answer in part
            }

    def hurry(self) -> None:
        """Let the calls under way end soon: no request is tried again."""
        self.client.hurry()

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Tokens of each prompt, by the tokenizer of the member's source.

        Raises:
          NoTokenizer: if it has none.
        """
        return [len(ids) for ids in self.encode(prompts)]

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Ids of each prompt's tokens, by the tokenizer of the member's source.

        Raises:
          NoTokenizer: if it has none.
          InputError: if that has no chat template where one is asked for, or it refuses the turns.
        """
        tokenizer = self._tokenizer
        if not self.config.chat:
            return [tokenizer(as_text(prompt))["input_ids"] for prompt in prompts]
        try:
            chats = [
                tokenizer.apply_chat_template(self._messages(prompt), add_generation_prompt=True) for prompt in prompts
            ]
        except Exception as error:  # a template is a program of the model's makers, and can fail in any way
            raise InputError(
                f"model {self.name!r}: the chat template of {self.config.source}, which its tokens are counted with, "
                f"renders no prompt ({reason_of(error)})"
            ) from error
        return [chat["input_ids"] for chat in chats]

    def request(self, prompt: Prompt) -> dict[str, Any]:
        """The fields of a call, as the client takes them."""
        if self.config.chat:
            content = {"messages": self._messages(prompt), "logprobs": True}
        else:
            content = {"prompt": as_text(prompt), "logprobs": 1}
        sampling = self.config.sampling
        seed = {} if sampling.greedy else {"seed": int.from_bytes(digest_of_call(sampling.seed, prompt)[:4]) >> 1}
        return {**content, **decoding_fields(self.config), **seed}

    def _messages(self, prompt: Prompt) -> list[dict[str, str]]:
        return as_messages(prompt, self.config.system)

    @cached_property
    def _tokenizer(self) -> Any:
        if not self.config.source:
            raise NoTokenizer(
                f"model {self.name!r}: to fit a budget or a context window, tokens are counted before the call, which "
                "an endpoint cannot do; name a hub id or folder with its tokenizer as source"
            )
        with loading(f"model {self.name!r}", self.config.source):
            return _shared_tokenizer(*description(self.config).items())


@cache
def _shared_tokenizer(*where: tuple[str, Any]) -> Any:
    """One for all members of a source; nobody changes it."""
    from transformers import AutoTokenizer

    return from_pretrained(AutoTokenizer, **dict(where))


def _model_config(config: ModelConfig) -> Any:
    """What the member's source says of its model; None without a source, or where it holds but a tokenizer."""
    if not config.source:
        return None
    path = Path(resolve_source(config.source))
    if path.is_dir() and not (path / "config.json").is_file():
        return None
    with loading(f"model {config.name!r}", config.source):
        from transformers import AutoConfig

        return from_pretrained(AutoConfig, **description(config))
