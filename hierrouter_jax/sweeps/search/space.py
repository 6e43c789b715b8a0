"""The space that is searched: what may vary, and the values of each, read from YAML or from text.

    space_of({"learning_rate": "log(1e-4, 3e-3)", "reward.hop_cost": [0.01, 0.1], "num_envs": "256, 512"})

A name is a number of the learner by its dotted name, a field of its static shapes, or `learner`. Numbers are drawn;
shapes are crossed, since each combination of them is compiled once and gets every point.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, make_dataclass, replace
from difflib import get_close_matches
from itertools import product
from typing import Any, get_type_hints

import yaml

from hierrouter_jax.config import from_dict, to_dict
from hierrouter_jax.errors import InputError
from hierrouter_jax.learner_config import LearnerHyper, LearnerStatic
from hierrouter_jax.sweeps.draws import Uniform, log, uniform
from hierrouter_jax.training.settings import SET_BY_NAME, check_names, numbers, static_of

LEARNER = "learner"
RANGES = {"log": log, "uniform": uniform}
# Where a name stands in the configuration, and what the learner is called elsewhere: all of it may be left out.
_PREFIXES = ("agent.", "train.", "hyper.", "static.")
_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\((.*)\)\s*", re.DOTALL)


@dataclass(frozen=True)
class Space:
    """What varies.

    Attributes:
      numbers: ranges or values of the learner's numbers, by their dotted names.
      shapes: values by the field of `LearnerStatic`; `learner` among them where it was given.
    """

    numbers: dict[str, Uniform | tuple[float, ...]]
    shapes: dict[str, tuple[Any, ...]]

    @property
    def ranges(self) -> tuple[str, ...]:
        """Names whose values are drawn from a range."""
        return tuple(name for name, choice in self.numbers.items() if isinstance(choice, Uniform))

    @property
    def varied(self) -> tuple[str, ...]:
        """Names with more than one value, the shapes first."""
        return tuple(
            name
            for name, choice in (self.shapes | self.numbers).items()
            if isinstance(choice, Uniform) or len(choice) > 1
        )

    @property
    def text(self) -> dict[str, Any]:
        """As a YAML file may hold it."""
        choices = self.shapes | self.numbers
        return {
            name: choice.text if isinstance(choice, Uniform) else to_dict(choice) for name, choice in choices.items()
        }

    def statics(self, learners: Sequence[str], base: LearnerStatic) -> list[LearnerStatic]:
        """Every combination of the shapes, the last varying fastest.

        Args:
          learners: names of the learners, where the space has no axis of them.
          base: all other shapes.

        Raises:
          InputError: if a combination is impossible, saying which.
        """
        axes = {LEARNER: tuple(learners)} | self.shapes
        return [shaped(dict(zip(axes, values, strict=True)), base) for values in product(*axes.values())]


def shaped(values: Mapping[str, Any], base: LearnerStatic) -> LearnerStatic:
    """The shapes with those that are named replaced, `learner` among them."""
    others = {name: value for name, value in values.items() if name != LEARNER}
    try:
        return static_of(values[LEARNER], replace(base, **others))
    except ValueError as error:
        combination = ", ".join(f"{name} {value}" for name, value in others.items())
        raise InputError(f"{error}; in the combination {combination}" if others else str(error)) from None


def space_of(choices: Mapping[str, Any]) -> Space:
    """Read a space.

    Args:
      choices: choices by name, perhaps nested (`{"reward": {"hop_cost": ...}}`): a list of values, one value, a range
        as `draws.log` and `draws.uniform` make it, or a text such as `log(1e-4, 3e-3)`, `uniform(0, 0.2)`, `256, 512`.

    Raises:
      InputError: if a name is unknown or occurs twice, or its values are not of its kind; the message says what
        would be right.
    """
    drawn: dict[str, Uniform | tuple[float, ...]] = {}
    shapes: dict[str, tuple[Any, ...]] = {}
    for written, choice in flat(choices).items():
        name = canonical(written)
        if name in drawn or name in shapes:
            raise InputError(f"{written} is given twice, once by another name; the space has one choice a name")
        if is_number(name):
            drawn[name] = number_choice(name, choice)
        else:
            shapes[name] = _shape_values(name, choice)
    return Space(drawn, shapes)


def canonical(name: str) -> str:
    """The name itself, without `agent.`, `train.`, `hyper.` or `static.` in front.

    Raises:
      InputError: if nothing of that name can vary; the message says which is nearest.
    """
    short = name
    for prefix in _PREFIXES:
        short = short.removeprefix(prefix)
    known = [LEARNER, *numbers(LearnerHyper()), *_shapes()]
    if short in known or is_number(short):
        return short
    if short == "features":
        raise InputError("features cannot vary within a sweep, which fits them once; give each its own sweep")
    if short in SET_BY_NAME:
        raise InputError(f"{name} is set by the learner's name; vary learner, such as learner=exact,ppo+stop")
    if short in ("seed", "seeds"):
        raise InputError(f"{name} is no axis of the space; --seeds says how many runs each point gets")
    close = [full for full in known if full.endswith(f".{short}")] or get_close_matches(short, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"what can vary: {', '.join(known)}"
    raise InputError(f"{name} is nothing that can vary; {hint}")


def flat(choices: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    """Nested names joined by dots."""
    joined: dict[str, Any] = {}
    for key, value in choices.items():
        name = f"{at}{key}"
        inner = flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
        for twice in (name for name in inner if name in joined):
            raise InputError(f"{twice} is given twice; the space has one choice a name")
        joined |= inner
    return joined


def is_number(name: str) -> bool:
    """Whether it is a number of the learner, be it the weight of a user's own reward term."""
    try:
        check_names([name])
    except InputError:
        return False
    return True


def _shapes() -> list[str]:
    return [field.name for field in fields(LearnerStatic) if field.name not in SET_BY_NAME]


def _read(name: str, choice: Any) -> Uniform | list[Any]:
    """A range, or a list of values that are not checked yet."""
    if isinstance(choice, Uniform):
        return choice
    if isinstance(choice, list | tuple):
        return list(choice)
    if not isinstance(choice, str):
        return [choice]
    call = _CALL.fullmatch(choice)
    if call:
        return _range(name, choice, *call.groups())
    try:
        values = yaml.safe_load(f"[{choice}]")
    except yaml.YAMLError:
        values = None
    if not isinstance(values, list):
        raise InputError(
            f"{name} is {choice!r}, but must be values with commas between, log(low, high) or uniform(low, high)"
        )
    # [256, 512] in brackets of its own is the list that a YAML file would hold; of `hidden` it is one value.
    return values[0] if len(values) == 1 and isinstance(values[0], list) and name != "hidden" else values


def _range(name: str, text: str, function: str, inside: str) -> Uniform:
    if function not in RANGES:
        raise InputError(f"{name} is {text!r}, but a range is log(low, high) or uniform(low, high)")
    bounds = [number(name, part.strip()) for part in inside.split(",")]
    if len(bounds) != 2:
        raise InputError(f"{name} is {text!r}, but {function} takes two bounds: {function}(low, high)")
    try:
        return RANGES[function](*bounds)
    except InputError as error:
        raise InputError(f"{name} is {text!r}: {error}") from None


def number_choice(name: str, choice: Any) -> Uniform | tuple[float, ...]:
    """A range or values that a number is drawn from.

    Raises:
      InputError: naming the number, if it is neither.
    """
    read = _read(name, choice)
    return read if isinstance(read, Uniform) else _different(name, [number(name, value) for value in read])


def number(name: str, value: Any) -> float:
    """A number as YAML gives it, 3e-4 as text included.

    Raises:
      InputError: naming it, if it is none.
    """
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        return float(value)
    except (ValueError, OverflowError):  # a whole number may be too large for a float
        raise InputError(f"{name} holds {value!r}, but must hold numbers") from None


def _shape_values(name: str, choice: Any) -> tuple[Any, ...]:
    read = _read(name, choice)
    if isinstance(read, Uniform):
        raise InputError(f"{name} is a range, but each of its values is compiled by itself; name the values")
    if name == LEARNER:
        for value in read:
            static_of(str(value), LearnerStatic())
        return _different(name, read)
    if name == "hidden" and any(not isinstance(value, list | tuple) for value in read):
        raise InputError(f"hidden is {choice!r}, but each of its values is a list of widths: [128, 128], [64, 64]")
    kind = make_dataclass("Shape", [(name, get_type_hints(LearnerStatic)[name])])
    return _different(name, [getattr(from_dict(kind, {name: value}, "space"), name) for value in read])


def _different(name: str, values: list[Any]) -> tuple[Any, ...]:
    if not values or len(set(values)) != len(values):
        raise InputError(f"{name} must have one or more different values, not {values}")
    return tuple(values)
