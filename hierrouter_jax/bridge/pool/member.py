"""A member of the pool: its weights or endpoint, how it is asked, how it decodes and what its tokens cost."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from hierrouter_jax.domains import COUNT, NATURAL, NONNEGATIVE, POSITIVE, SEED, Domain, Domains, check_domains
from hierrouter_jax.errors import InputError

Kind = Literal["transformers", "openai"]


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    Attributes:
      temperature: 0 is greedy decoding, the default; some model cards of reasoning models ask for .6.
      top_p: samples among the most likely tokens that together have this probability; 1 is all of them.
      top_k: samples among this many most likely tokens; 0 is all of them. Few endpoints know it.
      seed: of the draws. Each call has draws of its own, of this seed and its prompt, so that a response does not
        depend on which other calls are made.

    Raises:
      InputError: if a value makes no sense, or would do nothing as decoding is greedy.
    """

    DOMAINS: ClassVar[Domains] = {
        "temperature": NONNEGATIVE,
        "top_p": Domain(0, 1, open_low=True),
        "top_k": NATURAL,
        "seed": SEED,
    }

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise InputError(f"temperature is {self.temperature}, but must be 0 (greedy) or more")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p is {self.top_p}, but must be more than 0 and at most 1")
        if self.top_k < 0:
            raise InputError(f"top_k is {self.top_k}, but must be 0 (all tokens) or more")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"seed is {self.seed}, but must be from 0 to 2147483647")
        if self.greedy and (self.top_p, self.top_k, self.seed) != (1.0, 0, 0):
            raise InputError("top_p, top_k and seed do nothing at temperature 0, which is greedy; state a temperature")
        check_domains(self)

    @property
    def greedy(self) -> bool:
        return self.temperature == 0


@dataclass(frozen=True)
class Endpoint:
    """Where an OpenAI-compatible server answers.

    Attributes:
      base_url: up to and with `/v1`.
      model: the model's name there.
      weights: what it runs, in words of your own (`Qwen/Qwen2.5-7B-Instruct@a09a354`): calls that were made of equal
        weights at equal settings are not made again, at whatever address; by default the address and the model's name.
      api_key_env: the environment variable that holds the key; by default none is sent. The key is written nowhere.
      concurrency: calls under way at once.
      requests_per_minute: most calls begun in a minute; without it, as many as come.
      timeout: seconds that a call may take.
      retries: of a call that failed in a way that may pass.

    Raises:
      InputError: if the address is none, a name is empty, or a number makes no sense.
    """

    DOMAINS: ClassVar[Domains] = {
        "concurrency": COUNT,
        "requests_per_minute": POSITIVE,
        "timeout": POSITIVE,
        "retries": NATURAL,
    }

    base_url: str
    model: str
    weights: str = ""
    api_key_env: str | None = None
    concurrency: int = 16
    requests_per_minute: float | None = None
    timeout: float = 300.0
    retries: int = 5

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise InputError(f"base_url is {self.base_url!r}, but must be an address such as http://localhost:8000/v1")
        if parts.username or parts.password or parts.query:
            raise InputError(
                "base_url holds credentials or a query; a key belongs in the variable that api_key_env names"
            )
        if not self.model.strip():
            raise InputError("model is empty, but must be the model's name at the endpoint")
        if self.api_key_env is not None and not self.api_key_env.isidentifier():
            raise InputError("api_key_env is no name of an environment variable; never put the key itself there")
        if self.concurrency < 1:
            raise InputError(f"concurrency is {self.concurrency}, but must be at least 1")
        if self.requests_per_minute is not None and not 0 < self.requests_per_minute < float("inf"):
            raise InputError(f"requests_per_minute is {self.requests_per_minute}, but must be more than 0")
        if not 0 < self.timeout < float("inf"):
            raise InputError(f"timeout is {self.timeout}, but must be a number of seconds above 0")
        if self.retries < 0:
            raise InputError(f"retries is {self.retries}, but must be at least 0")
        check_domains(self)


@dataclass(frozen=True)
class ModelConfig:
    """A member of the pool.

    Attributes:
      name: unique in the pool.
      source: a Hugging Face hub id, a folder written by `save_pretrained`, a GGUF file (`folder/model.gguf`), or
        `package:reader` for a specialist that ships with this package. Of an endpoint, a hub id or folder with the
        tokenizer that counts its tokens and the config that its size is derived from; no weights are read.
      max_new_tokens: longest response, in tokens.
      dtype: of the weights while they run.
      base_rate: price of a token, read or written (the paper's single base rate).
      price_in, price_out: prices of a token read and of a token written, where they differ.
      kind: `transformers` runs the weights here, `openai` calls an endpoint.
      revision: branch, tag or commit of a hub id; the commit that it names is recorded.
      device_map: as transformers takes it (`auto`, `cuda:1`, a mapping); by default the first GPU, else the processor.
      quantization: fields of a transformers quantisation config (`{quant_method: bitsandbytes, load_in_4bit: true}`).
      chat: wrap prompts in the model's own chat template; otherwise the model reads the bare text.
      system: system prompt, with `chat` only; where a template knows none, it opens the first user turn.
      sampling: how the next token is chosen; greedy by default.
      stop: strings that end a response, which is cut before them.
      positions: longest prompt and response together, in tokens, where it is to be less than the model's config says
        or, of an endpoint, what the server was started with.
      endpoint: where an `openai` member answers.
      trust_remote_code: whether Python code that comes with the source may be run here; without it, a source that
        asks for that is refused.

    Raises:
      InputError: if a value makes no sense, a field does not belong to the kind, or half a price is stated, or two.
    """

    DOMAINS: ClassVar[Domains] = {
        "max_new_tokens": COUNT,
        "base_rate": NONNEGATIVE,
        "price_in": NONNEGATIVE,
        "price_out": NONNEGATIVE,
        "positions": COUNT,
    }

    name: str
    source: str = ""
    max_new_tokens: int = 0
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    base_rate: float | None = None
    price_in: float | None = None
    price_out: float | None = None
    kind: Kind = "transformers"
    revision: str | None = None
    device_map: str | dict[str, Any] | None = None
    quantization: dict[str, Any] | None = None
    chat: bool = False
    system: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    positions: int | None = None
    endpoint: Endpoint | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise InputError("name is empty")
        try:
            self._check_kind()
            self._check_asking()
            self._check_price()
            check_domains(self)
        except InputError as error:
            raise InputError(f"model {self.name!r}: {error}") from None

    def _check_kind(self) -> None:
        if self.kind == "transformers":
            if not self.source.strip():
                raise InputError("source is empty, but must be a hub id, a folder, a GGUF file or package:NAME")
            if self.endpoint is not None:
                raise InputError("endpoint belongs to kind: openai, but its kind is transformers")
            return
        if self.endpoint is None:
            raise InputError("kind is openai, so endpoint must be stated (base_url, model)")
        for name, default in (("dtype", "float32"), ("device_map", None), ("quantization", None)):
            if getattr(self, name) != default:
                raise InputError(f"{name} belongs to kind: transformers; what an endpoint runs is set at its server")

    def _check_asking(self) -> None:
        if self.max_new_tokens < 1:
            raise InputError(f"max_new_tokens is {self.max_new_tokens}, but must be at least 1")
        if self.positions is not None and self.positions <= self.max_new_tokens:
            raise InputError(
                f"positions is {self.positions}, but must leave room for a prompt beside the {self.max_new_tokens} of "
                "max_new_tokens"
            )
        if self.system and not self.chat:
            raise InputError("system needs chat: true, as only a chat template has a place for it")
        for text in self.stop:
            if not text:
                raise InputError("stop holds an empty string, which would end every response at once")

    def _check_price(self) -> None:
        for name in ("base_rate", "price_in", "price_out"):
            price = getattr(self, name)
            if price is not None and not 0 <= price < float("inf"):
                raise InputError(f"{name} is {price}, but a price is a number of at least 0")
        stated = (self.base_rate is not None, self.price_in is not None, self.price_out is not None)
        if stated not in ((False, False, False), (True, False, False), (False, True, True)):
            raise InputError("state either base_rate, or both price_in and price_out")

    @property
    def stated_prices(self) -> tuple[float, float] | None:
        """Price of a token read and of one written, or None where none is stated."""
        if self.base_rate is not None:
            return self.base_rate, self.base_rate
        if self.price_in is not None and self.price_out is not None:
            return self.price_in, self.price_out
        return None
