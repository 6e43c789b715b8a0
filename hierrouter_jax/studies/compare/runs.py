"""The runs of a comparison: equal tuning budgets, then every arm at every cost weight on the same seeds.

Arms of equal shapes are one sweep, so that they are compiled once, however many rewards and cost weights there are.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.learner_config import SweepLayout
from hierrouter_jax.outcomes.store import load_table
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.studies.compare.config import CompareConfig, ResolvedArm, drawn_settings
from hierrouter_jax.studies.compare.log_arms import LOGS, LogPolicies, learn_from_logs
from hierrouter_jax.sweeps.result import SweepResult
from hierrouter_jax.sweeps.sweep import train_many
from hierrouter_jax.sweeps.workers import cores
from hierrouter_jax.training.features import FittedFeatures

SWEEPS = "sweeps"
_WORTH_WORKERS = 32  # runs; starting worker processes takes longer than fewer do

Tried = list[dict[str, Any]]  # configurations, each `settings` and, where tuned, its mean `validation_return`


@dataclass(frozen=True)
class ArmRuns:
    """An arm's finished runs.

    Attributes:
      result: the sweep that they are in; or the policies, of an arm that learns from logs.
      folder: path of these, inside the comparison's folder.
      members: [W, S], which members of it they are.
      settings: numbers that tuning chose, at each cost weight.
      tried: configurations at each cost weight; one where nothing is tuned.
    """

    arm: ResolvedArm
    result: SweepResult | LogPolicies
    folder: str
    members: Int[np.ndarray, "W S"]
    settings: list[dict[str, float]]
    tried: list[Tried]

    def hyper(self, row: int, cost_weight: float) -> LearnerHyper:
        """The learner's numbers at the cost weight of that row."""
        return self.arm.at(cost_weight, self.settings[row])


@dataclass(frozen=True)
class Trainer:
    """Sweeps of a comparison: what they have in common.

    Attributes:
      table: the outcome table, or its folder.
      features: fitted once, for all.
      out: folder of the comparison, which keeps every sweep.
      progress: whether to show it.
    """

    config: CompareConfig
    table: OutcomeTable | Path
    features: FittedFeatures
    out: Path
    progress: bool = True

    def sweep(
        self, static: LearnerStatic, hypers: list[LearnerHyper], seeds: range, split: str, name: str
    ) -> SweepResult:
        """Train and evaluate, going on with what the folder holds already."""
        config = self.config
        runs = len(config.arms) * len(config.cost_weights) * config.seeds
        return train_many(
            self.table,
            static,
            hypers,
            seeds,
            features=self.features,
            split=split,
            layout=config.layout or default_layout(runs),
            chunk=config.chunk,
            out=self.out / SWEEPS / name,
            progress=self.progress,
        )


def run_arms(trainer: Trainer, arms: list[ResolvedArm]) -> list[ArmRuns]:
    """Tune and train every arm; in the order of the arms.

    Those that learn from logs come first: what is wrong with a log shows before anything else is trained.
    """
    config, by_name = trainer.config, {arm.name: _of_logs(trainer, arm) for arm in arms if arm.log is not None}
    of_table = [arm for arm in arms if arm.log is None]
    for group, static in enumerate(dict.fromkeys(arm.settings.static for arm in of_table)):
        here = [arm for arm in of_table if arm.settings.static == static]
        tried = _tune(trainer, static, here, f"{group}-tuning")
        chosen = [[best(at_weight) for at_weight in its] for its in tried]
        hypers = [
            arm.at(weight, settings)
            for arm, its in zip(here, chosen, strict=True)
            for weight, settings in zip(config.cost_weights, its, strict=True)
        ]
        result = trainer.sweep(static, hypers, range(config.seeds), config.split, str(group))
        members = np.arange(len(result.plan)).reshape(len(here), len(config.cost_weights), config.seeds)
        folder = f"{SWEEPS}/{group}"
        for arm, its, settings, configurations in zip(here, members, chosen, tried, strict=True):
            by_name[arm.name] = ArmRuns(arm, result, folder, its, settings, configurations)
    return [by_name[arm.name] for arm in arms]


def _of_logs(trainer: Trainer, arm: ResolvedArm) -> ArmRuns:
    config, folder = trainer.config, f"{LOGS}/{arm.name}"
    table = load_table(trainer.table) if isinstance(trainer.table, Path) else trainer.table
    learned = learn_from_logs(arm, config, table, trainer.features, trainer.out / folder, trainer.progress)
    weights = len(config.cost_weights)
    members = np.arange(weights * config.seeds).reshape(weights, config.seeds)
    return ArmRuns(arm, learned, folder, members, [{}] * weights, [[{"settings": {}}]] * weights)


def _tune(trainer: Trainer, static: LearnerStatic, arms: list[ResolvedArm], name: str) -> list[list[Tried]]:
    """What was tried for each arm at each cost weight: as many configurations for all, on the validation split.

    The seeds are others than those that are reported, and the evaluated split is not looked at.
    """
    config, tuning = trainer.config, trainer.config.tuning
    draws = [drawn_settings(arm.space, tuning.draws, arm.settings.hyper, arm.leaf) for arm in arms]
    if tuning.draws == 1:
        return [[[{"settings": {}}] for _ in config.cost_weights] for _ in arms]
    hypers = [
        arm.at(weight, settings)
        for arm, its in zip(arms, draws, strict=True)
        for weight in config.cost_weights
        for settings in its
    ]
    seeds = range(config.seeds, config.seeds + tuning.seeds)
    result = trainer.sweep(static, hypers, seeds, "validation", name)
    scores = _validation_returns(result, trainer).mean(axis=-1)
    return [
        [
            [
                {"settings": settings, "validation_return": finite(score)}
                for settings, score in zip(its, at_weight, strict=True)
            ]
            for at_weight in of_arm
        ]
        for its, of_arm in zip(draws, scores, strict=True)
    ]


def _validation_returns(result: SweepResult, trainer: Trainer) -> Float[np.ndarray, "A W D T"]:
    """Validation accuracy minus cost weight times normalised cost of each run's kept policy: all judged alike.

    Training that never gave a number is -inf.
    """
    weights = np.array(trainer.config.cost_weights)
    shape = (-1, len(weights), trainer.config.tuning.draws, trainer.config.tuning.seeds)
    accuracy, cost = (result.frame[name].to_numpy(float).reshape(shape) for name in ("best_accuracy", "best_cost"))
    value = accuracy - weights[:, None, None] * cost / trainer.features.cost_normaliser
    return np.where(np.isfinite(value), value, -np.inf)


def best(tried: Tried) -> dict[str, float]:
    """Settings of the configuration with the best validation return; of equal ones the first."""
    scores = [one.get("validation_return") for one in tried]
    return tried[int(np.argmax([-np.inf if score is None else score for score in scores]))]["settings"]


def default_layout(runs: int) -> SweepLayout:
    """A layout by the machine and the number of runs alone: a timing could choose another when a comparison goes on."""
    if jax.default_backend() != "cpu":
        return "vmap"
    return "processes" if len(cores()) > 1 and runs >= _WORTH_WORKERS else "map"


def finite(value: float) -> float | None:
    """A number as JSON can hold it."""
    return float(value) if np.isfinite(value) else None
