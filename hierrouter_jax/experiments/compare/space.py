"""A space to tune over, as YAML writes it: `log(1e-4, 3e-3)`, `uniform(0, 0.2)`, a list, or one number."""

import re
from collections.abc import Mapping
from typing import Any

from hierrouter_jax.agents.types import LearnerHyper
from hierrouter_jax.errors import InputError
from hierrouter_jax.experiments.draws import Choice, log, sobol, uniform
from hierrouter_jax.experiments.hypers import check_names, numbers

COST_SCALE = "cost_scale"
_RANGE = re.compile(r"\s*(log|uniform)\s*\(([^,()]+),([^,()]+)\)\s*")
_KINDS = {"log": log, "uniform": uniform}


def parse_choice(name: str, value: Any) -> Choice:
    """A range or values that a number is drawn from.

    Raises:
      InputError: naming the number, if it is neither.
    """
    if isinstance(value, str) and (match := _RANGE.fullmatch(value)):
        kind, *bounds = match.groups()
        try:
            return _KINDS[kind](*map(float, bounds))
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        except ValueError:
            pass
    else:
        values = [number(one) for one in (value if isinstance(value, list | tuple) else [value])]
        if values and None not in values:
            return [one for one in values if one is not None]
    raise InputError(f"{name} is {value!r}, but must be log(low, high), uniform(low, high), a number or a list of them")


def check_space(space: Mapping[str, Any], hyper: LearnerHyper) -> None:
    """Refuse a space with unknown numbers or wrong ranges; an arm's `cost_scale` may be tuned beside the numbers."""
    check_names([name for name in space if name != COST_SCALE], hyper)
    for name, value in space.items():
        parse_choice(name, value)


def drawn_settings(
    space: Mapping[str, Any], count: int, base: LearnerHyper, leaf: str, seed: int = 0
) -> list[dict[str, float]]:
    """`count` settings: nothing changed, then Sobol points of the space.

    Args:
      leaf: the number that the cost weight sets, which is no part of the space; `cost_scale` is drawn in its place.
    """
    if count == 1:
        return [{}]
    drawn_as = {name: leaf if name == COST_SCALE else name for name in space}
    choices = {drawn_as[name]: parse_choice(name, value) for name, value in space.items()}
    points = numbers(sobol(choices, count - 1, seed, base))
    return [{}] + [{name: float(points[drawn_as[name]][row]) for name in space} for row in range(count - 1)]


def number(value: Any) -> float | None:
    """A number as YAML gives it, 3e-4 as text included; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
