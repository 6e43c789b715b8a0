"""Price lists: YAML or JSON, a price for every model of the pool; an unknown price is refused, never taken as 0."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hierrouter_jax.config import load_yaml
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.outcomes.importers.records import Price

_LLMROUTER_PER, _LLMROUTER_UNIT = 1e6, "US dollars"
_FIELDS = ("money_unit", "per_tokens", "models")


def read_prices(path: Path) -> tuple[dict[str, Price], str]:
    """Prices by model, and the money unit.

    Our layout has `money_unit`, `per_tokens` (how many tokens a price buys; 1 unless given) and `models`, each with
    `base_rate`, or `price_in` and `price_out`. LLMRouter's `default_llm.json` has `input_price` and `output_price`,
    in US dollars per million tokens, for every model.

    Raises:
      InputError: naming the file, the model and the field at fault.
    """
    data = load_yaml(path)
    models = data.get("models", data)
    if not isinstance(models, dict) or not models:
        raise InputError(f"{path}: models must hold prices by model")
    if models is data:
        per, unit = _LLMROUTER_PER, _LLMROUTER_UNIT
        pairs = {name: _pair(path, name, told, ("input_price", "output_price")) for name, told in models.items()}
    else:
        unknown = next((name for name in data if name not in _FIELDS), None)
        if unknown is not None:
            raise InputError(f"{path}: {unknown} is not a field; {nearest(str(unknown), _FIELDS)}")
        per, unit = _price(path, "top level", "per_tokens", data.get("per_tokens", 1)), data.get("money_unit")
        if not isinstance(unit, str) or not unit or not per:
            raise InputError(f"{path}: money_unit must say what a cost of 1 means, and per_tokens be above 0")
        pairs = {name: _stated(path, name, told) for name, told in models.items()}
    return {str(name): Price(one / per, other / per) for name, (one, other) in pairs.items()}, unit


def check_prices(prices: Mapping[str, Price], models: Iterable[str], where: str) -> None:
    """Refuse a pool of which a member has no price.

    Raises:
      InputError: naming the model.
    """
    for model in models:
        if model not in prices:
            known = f"it states those of {', '.join(prices)}" if prices else "none is stated"
            raise InputError(
                f"{where}: model {model!r} has no price ({known}); give --prices FILE with a price for every model"
            )


def _stated(path: Path, name: Any, told: Any) -> tuple[float, float]:
    if isinstance(told, dict) and set(told) == {"base_rate"}:
        return _pair(path, name, told, ("base_rate", "base_rate"))
    if isinstance(told, dict) and set(told) <= {"price_in", "price_out"}:
        return _pair(path, name, told, ("price_in", "price_out"))
    raise InputError(f"{path}: models.{name}: state either base_rate, or both price_in and price_out, and no more")


def _pair(path: Path, name: Any, told: Any, fields: tuple[str, str]) -> tuple[float, float]:
    if not isinstance(told, dict):
        raise InputError(f"{path}: {name} is {told!r:.40}, but must hold {' and '.join(fields)}")
    return _price(path, name, fields[0], told.get(fields[0])), _price(path, name, fields[1], told.get(fields[1]))


def _price(path: Path, name: Any, field: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise InputError(f"{path}: {name}: {field} is {value!r}, but must be a number of at least 0")
    return float(value)
