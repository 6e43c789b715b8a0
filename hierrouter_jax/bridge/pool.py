"""The pool's configuration: which models, at what price, and how a hop's prompt looks."""

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Literal

from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.config import from_dict, load_yaml
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.pricing import PricedModel

PACKAGE_PREFIX = "package:"
SPECIALISTS = "specialists"


@dataclass(frozen=True)
class ModelConfig:
    """A member of the pool.

    Attributes:
      name: unique in the pool.
      source: a Hugging Face hub id, a folder written by `save_pretrained`, or `package:reader` for a specialist that
        ships with this package.
      max_new_tokens: longest response, in tokens.
      dtype: of the weights while they run.
      base_rate: price of a token, read or written (the paper's single base rate).
      price_in, price_out: prices of a token read and of a token written, where they differ.

    Raises:
      InputError: if a value makes no sense, or half a price is stated, or more than one.
    """

    name: str
    source: str
    max_new_tokens: int
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    base_rate: float | None = None
    price_in: float | None = None
    price_out: float | None = None

    def __post_init__(self) -> None:
        for name in ("name", "source"):
            if not getattr(self, name).strip():
                raise InputError(f"{name} is empty")
        if self.max_new_tokens < 1:
            raise InputError(f"model {self.name!r}: max_new_tokens is {self.max_new_tokens}, but must be at least 1")
        for name in ("base_rate", "price_in", "price_out"):
            price = getattr(self, name)
            if price is not None and not 0 <= price < float("inf"):
                raise InputError(f"model {self.name!r}: {name} is {price}, but a price is a number of at least 0")
        stated = (self.base_rate is not None, self.price_in is not None, self.price_out is not None)
        if stated not in ((False, False, False), (True, False, False), (False, True, True)):
            raise InputError(f"model {self.name!r}: state either base_rate, or both price_in and price_out")

    @property
    def stated_prices(self) -> tuple[float, float] | None:
        """Price of a token read and of one written, or None where none is stated."""
        if self.base_rate is not None:
            return self.base_rate, self.base_rate
        if self.price_in is not None and self.price_out is not None:
            return self.price_in, self.price_out
        return None


@dataclass(frozen=True)
class PoolConfig:
    """The candidate models, in action order.

    Attributes:
      models: at least one, with unique names.
      prompt: layout of every hop's prompt.
      money_unit: what a cost of 1 means.
      rate_from_parameters: price every token at the model's number of parameters in millions; no model may then
        state a price of its own. Otherwise every model must.

    Raises:
      InputError: if there is no model, a name occurs twice, or a price is missing or superfluous.
    """

    models: tuple[ModelConfig, ...]
    prompt: HopPrompt = field(default_factory=HopPrompt)
    money_unit: str = "price units"
    rate_from_parameters: bool = False

    def __post_init__(self) -> None:
        if not self.models:
            raise InputError("models is empty, but a pool needs at least one")
        names = [model.name for model in self.models]
        for row, model in enumerate(self.models):
            if model.name in names[:row]:
                raise InputError(f"models[{row}].name: {model.name!r} occurs twice, but names must be unique")
            if model.stated_prices is not None and self.rate_from_parameters:
                raise InputError(
                    f"models[{row}]: {model.name!r} states a price, but rate_from_parameters prices every model; "
                    "drop one of the two"
                )
            if model.stated_prices is None and not self.rate_from_parameters:
                raise InputError(
                    f"models[{row}]: {model.name!r} has no price; state base_rate (or price_in and price_out), or set "
                    "rate_from_parameters: true for the whole pool"
                )

    def price(self, model: ModelConfig, parameters: int) -> PricedModel:
        """A member at its stated prices, or else at its parameters in millions for every token."""
        price_in, price_out = model.stated_prices or (parameters / 1e6, parameters / 1e6)
        return PricedModel(model.name, price_in, price_out, parameters, model.max_new_tokens)


def load_pool(path: Path) -> PoolConfig:
    """Read a pool from YAML.

    Raises:
      InputError: naming the file and the field that is unknown, missing, mistyped or refused.
    """
    return from_dict(PoolConfig, load_yaml(path), path)


def resolve_source(source: str) -> str:
    """Where transformers finds a source: the folder, or the hub id as it is.

    Raises:
      InputError: if it can only be a folder, and there is none.
    """
    if source.startswith(PACKAGE_PREFIX):
        shipped = Path(str(files("hierrouter_jax"))) / SPECIALISTS
        folder = shipped / source.removeprefix(PACKAGE_PREFIX)
        if not (folder / "config.json").is_file():
            known = sorted(config.parent.name for config in shipped.glob("*/config.json"))
            raise InputError(f"{source}: no such specialist; the package holds {', '.join(known) or 'none'}")
        return str(folder)
    folder = Path(source).expanduser()
    if folder.is_dir():
        return str(folder)
    if source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise InputError(f"{source}: no such folder")
    return source
