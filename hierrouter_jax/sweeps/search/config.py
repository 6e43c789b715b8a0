"""What a search for good settings is told: the space, how points are drawn from it, and what each point is given."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from hierrouter_jax.domains import COUNT, NATURAL, SEED, Domain, Domains, check_domains
from hierrouter_jax.errors import InputError
from hierrouter_jax.learner_config import LearnerHyper, LearnerStatic, SweepLayout
from hierrouter_jax.sweeps.draws import grid, random, sobol
from hierrouter_jax.sweeps.search.space import LEARNER, Space, canonical, flat, space_of
from hierrouter_jax.training.settings import SharedSettings

Draw = Literal["grid", "random", "sobol", "optuna"]
DRAWS = 16
# Numbers that change what a return means, so that returns of different values of them are not comparable.
MEASURES = ("reward.", "ranges.", "mean_cost")
_MEASURING_SHAPES = ("cost_conditioned", "budgeted", "lagrangian")


@dataclass(frozen=True)
class BaseSettings(SharedSettings):
    """What does not vary, named as in `hierrouter train`.

    Attributes:
      learners: names of the learners, each of which gets a group of points.
    """

    learners: tuple[str, ...] = ("ppo", "ppo+stop")


@dataclass(frozen=True)
class Halving:
    """Successive halving (Jamieson and Talwalkar 2016): many points get few updates, the best of them more.

    A rung's runs are fresh ones, each with a whole learning-rate schedule of its own length.

    Attributes:
      eta: one point in `eta` goes on to the next rung, which has `eta` times the updates.
      rungs: their number; the last has the `num_updates` of the base settings.
    """

    DOMAINS: ClassVar[Domains] = {
        "eta": Domain(2, whole=True),
        "rungs": Domain(2, whole=True),
    }

    eta: int = 3
    rungs: int = 3

    def __post_init__(self) -> None:
        check_domains(self)

    def updates(self, rung: int, static: LearnerStatic) -> int:
        """Of a rung: a multiple of `evaluate_every`, the share of the last rung's rounded up."""
        share, every = self.eta ** (self.rungs - 1 - rung), static.evaluate_every
        return -(-static.num_updates // (share * every)) * every


@dataclass(frozen=True)
class SweepConfig:
    """A search for good settings on an outcome table.

    Attributes:
      table: folder of the outcome table.
      out: folder of the results; the same command again goes on where it was cut off.
      train: what does not vary.
      space: choices by the dotted name of what varies: a list of values, one value, or a text such as
        `log(1e-4, 3e-3)`, `uniform(0, 0.2)`. Numbers (`learning_rate`, `reward.hop_cost`) are drawn; shapes (`learner`,
        `num_envs`, `hidden`) are crossed: each combination is compiled once and gets every point.
      axes: more of the space, as `name=choice`; they come over those of `space`.
      draw: grid: every combination of values; random and sobol: points of the space, sobol covering it more evenly;
        optuna: each batch of points, and of shapes, where the batches before were good (TPE). By default grid, or
        sobol where the space has a range.
      draws: points, of each combination of shapes, and of optuna in all; 16 by default. A grid has its own number.
      seed: seed of the draws.
      seeds: runs of each point, numbered from 0.
      batch: points that optuna chooses at once.
      halving: few updates for all points and more for the best, instead of all updates for all.
      split: split that members are evaluated on; they are ranked on validation whatever it is.
      layout: how members are laid over the hardware; by default the simplest about as fast as the fastest.
      chunk: members trained together; by default what suits the layout.
      export: number of the best points of each reward whose policies are written as bundles.
    """

    DOMAINS: ClassVar[Domains] = {
        "draws": COUNT,
        "seed": SEED,
        "seeds": COUNT,
        "batch": COUNT,
        "chunk": COUNT,
        "export": NATURAL,
    }

    table: Path
    out: Path = Path("runs/sweep")
    train: BaseSettings = field(default_factory=BaseSettings)
    space: dict[str, Any] = field(default_factory=dict)
    axes: tuple[str, ...] = ()
    draw: Draw | None = None
    draws: int | None = None
    seed: int = 0
    seeds: int = 3
    batch: int = 8
    halving: Halving | None = None
    split: str = "test"
    layout: SweepLayout | None = None
    chunk: int | None = None
    export: int = 1

    def __post_init__(self) -> None:
        check_domains(self)
        if not self.train.learners and LEARNER not in self.searched.shapes:
            raise InputError("train.learners must hold at least one learner")
        space, drawn = self.searched, set(self.searched.numbers) & set(self.searched.varied)
        if self.drawing == "grid" and self.draws is not None:
            raise InputError(f"draws is {self.draws}, but a grid has its own number of points; leave it out")
        if self.drawing == "grid" and space.ranges:
            raise InputError(f"{space.ranges[0]} is a range, of which a grid has no points; draw sobol, or name values")
        if self.drawing in ("random", "sobol") and not drawn:
            raise InputError(f"draw is {self.drawing}, but no number has more than one value to draw; draw grid")
        if self.drawing == "optuna" and not space.varied:
            raise InputError("draw is optuna, but nothing in the space has more than one value")
        _ = self.statics  # making them refuses impossible shapes
        self._check_comparable()

    @cached_property
    def searched(self) -> Space:
        """The whole space, read."""
        choices = {canonical(name): choice for name, choice in flat(self.space).items()}
        if len(choices) < len(flat(self.space)):
            return space_of(self.space)  # refuses what occurs twice
        return space_of(choices | read_axes(self.axes))

    @property
    def drawing(self) -> Draw:
        return self.draw or ("sobol" if self.searched.ranges else "grid")

    @cached_property
    def statics(self) -> list[LearnerStatic]:
        """Every combination of shapes."""
        return self.searched.statics(self.train.learners, self.train.static)

    @property
    def count(self) -> int:
        """Points that are drawn, where they are."""
        return DRAWS if self.draws is None else self.draws

    def points(self) -> LearnerHyper:
        """All points at once, stacked [H]; optuna's are not known beforehand."""
        numbers, base = self.searched.numbers, self.train.hyper
        if self.drawing == "grid":
            values: dict[str, Any] = numbers  # a grid has no ranges, only tuples
            return grid({name: list(choice) for name, choice in values.items()}, base)
        return {"random": random, "sobol": sobol}[self.drawing](numbers, self.count, self.seed, base)

    def measures(self) -> tuple[str, ...]:
        """Names that vary and change what a return means: returns are compared among equals in all of them."""
        varied, potential = self.searched.varied, self.train.hyper.reward.potential
        # Returns are undiscounted, and gamma is part of what they mean only where the potential's term has it.
        shaped = potential != 0 or "reward.potential" in self.searched.numbers
        also = (*_MEASURING_SHAPES, "gamma") if shaped else _MEASURING_SHAPES
        return tuple(name for name in varied if name.startswith(MEASURES) or name in also)

    def _check_comparable(self) -> None:
        """Refuse to choose the next points by returns that are not comparable, and rungs that do not grow."""
        measures = self.measures()
        if self.drawing == "optuna" and measures:
            raise InputError(
                f"{measures[0]} changes what a return means, so that optuna cannot compare points by it; "
                "fix it, and run one sweep for each of its values"
            )
        if self.halving is None:
            return
        if self.drawing == "optuna":
            raise InputError("halving needs all points at the start; draw grid, random or sobol with it, not optuna")
        ranged = next((name for name in measures if name in self.searched.ranges), None)
        if ranged:
            raise InputError(f"{ranged} is a range, so that no two returns are comparable, by which halving chooses")
        if "num_updates" in self.searched.shapes:
            raise InputError("num_updates cannot vary under halving, which sets it rung by rung")
        for static in self.statics:
            updates = [self.halving.updates(rung, static) for rung in range(self.halving.rungs)]
            if len(set(updates)) < len(updates):
                raise InputError(
                    f"halving's rungs have {', '.join(map(str, updates))} updates, which must grow; raise "
                    "train.static.num_updates, or lower halving.rungs or train.static.evaluate_every"
                )


def read_axes(texts: tuple[str, ...]) -> dict[str, str]:
    """The choice of each `name=choice`, by its name without what may be left out.

    Raises:
      InputError: if a text is none, or a name is unknown or occurs twice.
    """
    choices: dict[str, str] = {}
    for text in texts:
        match = re.fullmatch(r"\s*([\w.+:/-]+?)\s*=(.*)", text, re.DOTALL)
        if match is None:
            raise InputError(f"{text!r} is no axis of the space; write name=choice, such as learning_rate=1e-3,3e-3")
        name = canonical(match[1])
        if name in choices:
            raise InputError(f"{match[1]} is given twice; the space has one choice a name")
        choices[name] = match[2]
    return choices
