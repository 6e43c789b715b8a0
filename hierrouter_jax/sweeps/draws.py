"""Draws of hyperparameters: grids, random points and Sobol points, over numbers given by their dotted names.

    grid({"learning_rate": [1e-3, 3e-3], "reward.hop_cost": [0.01, 0.05]})
    random({"learning_rate": log(1e-4, 3e-3), "entropy": uniform(0, 0.2), "gamma": [0.95, 1]}, 100)

Each gives one `LearnerHyper` whose every leaf is stacked over the points, which `sweep` and `jax.vmap` take as it is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hierrouter_jax.errors import InputError
from hierrouter_jax.learner_config import LearnerHyper
from hierrouter_jax.training.settings import check_names, numbers, replaced_numbers, with_numbers


def stack(hypers: LearnerHyper | Sequence[LearnerHyper]) -> LearnerHyper:
    """One set of numbers whose every leaf has a leading axis [H].

    Args:
      hypers: several sets, or one whose leaves are numbers or arrays [H].

    Raises:
      InputError: if the arrays are of different lengths, or hold a number that is not finite.
    """
    one = isinstance(hypers, LearnerHyper)
    if not one and not hypers:
        raise InputError("a sweep needs at least one set of hyperparameters")
    first = hypers if one else hypers[0]
    tables = [
        {name: np.asarray(leaf, float) for name, leaf in numbers(h).items()} for h in ([first] if one else hypers)
    ]
    names = dict.fromkeys(name for table in tables for name in table)  # a term that a set does not name weighs 0
    leaves = {name: tables[0][name] if one else np.stack([t.get(name, np.zeros(())) for t in tables]) for name in names}
    lengths = {name: len(leaf) for name, leaf in leaves.items() if leaf.ndim == 1}
    for name, leaf in leaves.items():
        if leaf.ndim > 1:
            raise InputError(f"{name} has shape {leaf.shape}, but must be a number or have one axis")
        if not np.isfinite(leaf).all():
            raise InputError(f"{name} holds a number that is not finite")
    if len(set(lengths.values())) > 1:
        raise InputError(f"hyperparameters are of different lengths: {lengths}")
    count = next(iter(lengths.values()), 1)
    if not count:
        raise InputError("a sweep needs at least one set of hyperparameters")
    return replaced_numbers(first, {name: np.broadcast_to(leaf, (count,)).copy() for name, leaf in leaves.items()})


@dataclass(frozen=True)
class Uniform:
    """Evenly between two bounds, or evenly in the logarithm."""

    low: float
    high: float
    logarithmic: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise InputError(f"a range needs finite bounds, not {self.low:g} and {self.high:g}")
        if not self.low <= self.high:
            raise InputError(f"the lower bound {self.low:g} is above the upper bound {self.high:g}")
        if self.logarithmic and self.low <= 0:
            raise InputError(f"a logarithmic range needs bounds above 0, not {self.low:g}")

    @property
    def text(self) -> str:
        """As it is written in a configuration."""
        return f"{'log' if self.logarithmic else 'uniform'}({self.low!r}, {self.high!r})"

    def at(self, position: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Values at positions in [0, 1)."""
        if self.logarithmic:
            return self.low * (self.high / self.low) ** position
        return self.low + (self.high - self.low) * position


Choice = Uniform | Sequence[float] | float


def uniform(low: float, high: float) -> Uniform:
    """Evenly between two bounds."""
    return Uniform(low, high)


def log(low: float, high: float) -> Uniform:
    """Evenly in the logarithm between two bounds above 0."""
    return Uniform(low, high, logarithmic=True)


def grid(values: Mapping[str, Sequence[float] | float], base: LearnerHyper | None = None) -> LearnerHyper:
    """Every combination of the values, stacked; the last name varies fastest.

    Args:
      values: values of each number, by its dotted name.
      base: all other numbers; by default the defaults.

    Raises:
      InputError: if a name is unknown or has no values.
    """
    base = base or LearnerHyper()
    check_names(values, base)
    axes = [_values(name, choice) for name, choice in values.items()]
    points = [axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")]
    return stack(with_numbers(base, dict(zip(values, points, strict=True))))


def random(choices: Mapping[str, Choice], count: int, seed: int = 0, base: LearnerHyper | None = None) -> LearnerHyper:
    """Independent points, stacked.

    Args:
      choices: choice of each number, by its dotted name: a range, values to choose among with equal chances, or one
        value.
      count: number of points.
      base: all other numbers; by default the defaults.

    Raises:
      InputError: if a name is unknown, has no values, or `count` is below 1.
    """
    _check_count(count)
    return _points(choices, np.random.default_rng(seed).random((count, len(choices))), base)


def sobol(choices: Mapping[str, Choice], count: int, seed: int = 0, base: LearnerHyper | None = None) -> LearnerHyper:
    """Points of a scrambled Sobol sequence, which cover the ranges more evenly than independent ones; as `random`."""
    _check_count(count)
    if not choices:
        return random(choices, count, seed, base)
    from scipy.stats import qmc  # takes half a second to import

    sequence = qmc.Sobol(len(choices), rng=seed)
    return _points(choices, sequence.random_base2((count - 1).bit_length())[:count], base)


def _points(
    choices: Mapping[str, Choice], positions: Float[np.ndarray, "n K"], base: LearnerHyper | None
) -> LearnerHyper:
    base = base or LearnerHyper()
    check_names(choices, base)
    drawn = {}
    for (name, choice), position in zip(choices.items(), positions.T, strict=True):
        if isinstance(choice, Uniform):
            drawn[name] = choice.at(position)
        else:
            values = _values(name, choice)
            drawn[name] = values[(position * len(values)).astype(int)]
    # Something must say how many points there are, even where nothing is drawn.
    rate = drawn.get("learning_rate", np.full(len(positions), base.learning_rate))
    return stack(with_numbers(base, drawn | {"learning_rate": rate}))


def _values(name: str, choice: Sequence[float] | float) -> Float[np.ndarray, " n"]:
    values = np.atleast_1d(np.asarray(choice, float))
    if values.ndim != 1 or not len(values):
        raise InputError(f"{name} must have one or more values, not {choice!r}")
    return values


def _check_count(count: int) -> None:
    if count < 1:
        raise InputError(f"count is {count}, but must be at least 1")
