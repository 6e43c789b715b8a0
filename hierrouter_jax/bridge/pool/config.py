"""The pool's configuration: the candidate models in action order, and what they share."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hierrouter_jax.bridge.pool.member import ModelConfig
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.config import config_path, from_dict, load_yaml
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.outcomes.pricing import PricedModel

Resident = bool | Literal["fit"]


@dataclass(frozen=True)
class PoolConfig:
    """The candidate models, in action order.

    Attributes:
      models: at least one, with unique names.
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
        return PricedModel(model.name, *prices, parameters, model.max_new_tokens)


def load_pool(path: Path) -> PoolConfig:
    """Read a pool from YAML; a `prompt` given by name is that preset of `configs/prompt`.

    Raises:
      InputError: naming the file and the field that is unknown, missing, mistyped or refused, or a member that the
        prompt speaks of and that there is not.
    """
    settings = load_yaml(path)
    if isinstance(settings.get("prompt"), str):
        settings["prompt"] = _prompt_preset(settings["prompt"], path)
    pool = from_dict(PoolConfig, settings, path)
    names = sorted(model.name for model in (*pool.models, *pool.external))
    for name in pool.prompt.members:
        if name not in names:
            raise InputError(f"{path}: prompt.members: {name!r} is no member; {nearest(name, names)}")
    return pool


def load_prompt(path: Path) -> HopPrompt:
    """Read the layout of a hop's prompt from YAML.

    Raises:
      InputError: naming the file and the field that is unknown, mistyped or refused.
    """
    return from_dict(HopPrompt, load_yaml(path), path)


def _prompt_preset(name: str, where: Path) -> dict:
    presets = {path.stem: path for path in config_path("prompt/paper.yaml").parent.glob("*.yaml")}
    if name not in presets:
        raise InputError(f"{where}: prompt: {name!r} is no preset; {nearest(name, sorted(presets))}")
    return load_yaml(presets[name])
