"""The pool's configuration: the candidate models in action order, and what they share."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from hierrouter_jax.bridge.pool.endpoint import Endpoint
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.domains import COUNT, NATURAL, NONNEGATIVE, SEED, Domain, Domains, check_domains
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.pricing import PricedModel

Kind = Literal["transformers", "openai"]


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    Attributes:
      temperature: 0 is greedy decoding, the default; some model cards of reasoning models ask for .6.
      top_p: samples among the most likely tokens that together have this probability; 1 is all of them.
      top_k: samples among this many most likely tokens; 0 is all of them. Few endpoints know it.
      seed: seed of the draws. Each call has draws of its own, of this seed and its prompt, so that a response does not
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
        check_domains(self)
        if self.greedy and (self.top_p, self.top_k, self.seed) != (1.0, 0, 0):
            raise InputError("top_p, top_k and seed do nothing at temperature 0, which is greedy; state a temperature")

    @property
    def greedy(self) -> bool:
        return self.temperature == 0


@dataclass(frozen=True)
class ModelConfig:
    """A member of the pool.

    Attributes:
      name: unique in the pool.
      source: a Hugging Face hub id, a folder written by `save_pretrained`, a GGUF file (`folder/model.gguf`), or
        `package:reader` for a specialist that ships with this package. Of an endpoint, a hub id or folder with the
        tokenizer that counts its tokens and the config that its size is derived from; no weights are read.
      max_new_tokens: longest response, in tokens.
      dtype: precision of the weights while they run.
      base_rate: price of a token, read or written (the paper's single base rate).
      price_in, price_out: prices of a token read and of a token written, where they differ.
      price_cached_in: price of a token read that a prefix cache serves, where that is cheaper.
      kind: `transformers` runs the weights here, `openai` calls an endpoint.
      revision: branch, tag or commit of a hub id; the commit that it names is recorded.
      device_map: devices of the weights, as transformers takes it (`auto`, `cuda:1`, a mapping); by default the first
        GPU, else the processor.
      quantization: fields of a transformers quantisation config (`{quant_method: bitsandbytes, load_in_4bit: true}`).
      chat: whether prompts are wrapped in the model's own chat template; otherwise the model reads the bare text.
      system: system prompt, with `chat` only; where a template knows none, it opens the first user turn.
      sampling: how the next token is chosen; greedy by default.
      stop: strings that end a response, which is cut before them.
      positions: longest prompt and response together, in tokens, where it is to be less than the model's config says
        or, of an endpoint, what the server was started with.
      endpoint: server at which an `openai` member answers.
      trust_remote_code: whether Python code that comes with the source may be run here; without it, a source that
        asks for that is refused.
      size_from: source of the config that tells its size, and so its price under `rate_from_parameters`, where the
        source's own is not the official model's: a hub id, a folder or a JSON file; or the fields of the source's
        config that differ (`{tie_word_embeddings: true}`, as some GGUF files store a shared embedding twice).

    Raises:
      InputError: if a value makes no sense, a field does not belong to the kind, or half a price is stated, or two.
    """

    DOMAINS: ClassVar[Domains] = {
        "max_new_tokens": COUNT,
        "base_rate": NONNEGATIVE,
        "price_in": NONNEGATIVE,
        "price_out": NONNEGATIVE,
        "price_cached_in": NONNEGATIVE,
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
    size_from: str | dict[str, Any] | None = None
    price_cached_in: float | None = None

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise InputError("name is empty")
        try:
            self._check_kind()
            check_domains(self)
            self._check_asking()
            self._check_price()
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
        texts = (*map(str, self.endpoint.command), self.endpoint.model if self.endpoint.command else "")
        if any("{source}" in text for text in texts) and not self.source.strip():
            raise InputError("endpoint.command has a {source}, so source must be stated")
        for name, default in (("dtype", "float32"), ("device_map", None), ("quantization", None)):
            if getattr(self, name) != default:
                raise InputError(f"{name} belongs to kind: transformers; what an endpoint runs is set at its server")

    def _check_asking(self) -> None:
        if self.positions is not None and self.positions <= self.max_new_tokens:
            raise InputError(
                f"positions is {self.positions}, but must leave room for a prompt beside the {self.max_new_tokens} of "
                "max_new_tokens"
            )
        if self.system and not self.chat:
            raise InputError("system needs chat: true, as only a chat template has a place for it")
        if self.size_from is not None and not self.size_from:
            raise InputError("size_from is empty, but must be a hub id, a folder, a JSON file, or a config's fields")
        for text in self.stop:
            if not text:
                raise InputError("stop holds an empty string, which would end every response at once")

    def _check_price(self) -> None:
        stated = (self.base_rate is not None, self.price_in is not None, self.price_out is not None)
        if stated not in ((False, False, False), (True, False, False), (False, True, True)):
            raise InputError("state either base_rate, or both price_in and price_out")
        prices = self.stated_prices
        if self.price_cached_in is not None and (prices is None or self.price_cached_in > prices[0]):
            raise InputError(
                f"price_cached_in is {self.price_cached_in}, but must be at most the price of other tokens read, which "
                f"is {'not stated' if prices is None else prices[0]}"
            )

    @property
    def size_basis(self) -> str:
        """Whose config its size follows from, in words; empty where no config tells it."""
        if isinstance(self.size_from, str):
            return self.size_from
        changes = ", ".join(f"{name}: {value}" for name, value in (self.size_from or {}).items())
        return f"{self.source} with {changes}" if changes else self.source

    @property
    def stated_prices(self) -> tuple[float, float] | None:
        """Price of a token read and of one written, or None where none is stated."""
        if self.base_rate is not None:
            return self.base_rate, self.base_rate
        if self.price_in is not None and self.price_out is not None:
            return self.price_in, self.price_out
        return None


Resident = bool | Literal["fit"]


@dataclass(frozen=True)
class PoolConfig:
    """The candidate models, in action order.

    Attributes:
      models: one or more members, with unique names.
      prompt: layout of every hop's prompt; in YAML its fields, or the name of a preset (paper, named, last,
        instruct).
      money_unit: what a cost of 1 means.
      rate_from_parameters: price every token at the model's number of parameters in millions; no model may then
        state a price of its own. Otherwise every model must.
      external: larger models outside the pool that answer each query in one call, to compare with; no route holds one.
      resident: whether all weights stay loaded (true), those of as many models as fit (`fit`), or of one (false).

    Raises:
      InputError: if there is no model, a name occurs twice, a price is missing or superfluous.
    """

    models: tuple[ModelConfig, ...]
    prompt: HopPrompt = field(default_factory=HopPrompt)
    money_unit: str = "price units"
    rate_from_parameters: bool = False
    external: tuple[ModelConfig, ...] = ()
    resident: Resident = True

    def __post_init__(self) -> None:
        if not self.models:
            raise InputError("models is empty, but a pool needs at least one")
        names: set[str] = set()
        for where, model in [
            *((f"models[{row}]", model) for row, model in enumerate(self.models)),
            *((f"external[{row}]", model) for row, model in enumerate(self.external)),
        ]:
            if model.name in names:
                raise InputError(f"{where}.name: {model.name!r} occurs twice, but names must be unique")
            names.add(model.name)
            if model.stated_prices is not None and self.rate_from_parameters:
                raise InputError(
                    f"{where}: {model.name!r} states a price, but rate_from_parameters prices every model; "
                    "drop one of the two"
                )
            if model.stated_prices is None and not self.rate_from_parameters:
                raise InputError(
                    f"{where}: {model.name!r} has no price; state base_rate (or price_in and price_out), or set "
                    "rate_from_parameters: true for the whole pool"
                )

    def reseeded(self, add: int) -> "PoolConfig":
        """The pool with a number added to the seed of every member that samples; greedy members stay as they are."""

        def other(model: ModelConfig) -> ModelConfig:
            sampling = model.sampling
            return model if sampling.greedy else replace(model, sampling=replace(sampling, seed=sampling.seed + add))

        return replace(self, models=tuple(map(other, self.models)), external=tuple(map(other, self.external)))

    def price(self, model: ModelConfig, parameters: int | None) -> PricedModel:
        """A member at its stated prices, or else at its parameters in millions for every token.

        Raises:
          InputError: if the parameters are to set the price, and are not known.
        """
        prices = model.stated_prices
        if prices is None:
            if parameters is None:
                raise InputError(
                    f"model {model.name!r}: rate_from_parameters needs its number of parameters; name a source whose "
                    "config tells it, or state a price"
                )
            prices = (parameters / 1e6, parameters / 1e6)
        sizes = parameters, model.max_new_tokens
        return PricedModel(model.name, *prices, *sizes, price_cached_in=model.price_cached_in)
