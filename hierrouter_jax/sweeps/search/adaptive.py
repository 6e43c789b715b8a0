"""Adaptive search by Optuna: each batch of points is asked for, trained as sweeps, and told."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.errors import InputError
from hierrouter_jax.sweeps.draws import Uniform, stack
from hierrouter_jax.sweeps.search.config import SweepConfig
from hierrouter_jax.sweeps.search.parts import Part, Parts, means_by_point
from hierrouter_jax.sweeps.search.space import LEARNER, shaped
from hierrouter_jax.sweeps.sweep import Watcher
from hierrouter_jax.training.settings import numbers, with_numbers


def halve(config: SweepConfig, progress: bool | Watcher) -> list[Part]:
    """Train rung after rung; of each rung one point in `eta` goes on, by mean validation return over seeds.

    Points are compared among equals in reward and conditions, since returns of others are not comparable. Every rung
    trains anew, under a learning-rate schedule of its own length.
    """
    assert config.halving is not None
    parts, points = Parts(config, progress), config.points()
    measures, halving = measured_alike(config, points), config.halving
    left = [
        (group, point) for group in range(len(config.statics)) for point in range(len(np.asarray(points.learning_rate)))
    ]
    for rung in range(halving.rungs):
        returns = {}
        for group, static in enumerate(config.statics):
            here = np.array([point for its_group, point in left if its_group == group], int)
            if not len(here):
                continue
            shorter = replace(static, num_updates=halving.updates(rung, static))
            some = jax.tree.map(lambda leaf, here=here: leaf[here], points)
            part = parts.train(f"rung-{rung}-group-{group}", {"rung": rung}, shorter, some)
            returns |= {(group, int(point)): mean for point, mean in zip(here, means_by_point(part), strict=True)}
        left = promoted(returns, measures, halving.eta)
    parts.write_frame()
    return parts.done


def promoted(
    returns: dict[tuple[int, int], float], measures: dict[tuple[int, int], object], eta: int
) -> list[tuple[int, int]]:
    """The best one in `eta`, rounded up, among those that are measured alike; the earlier one of equals."""
    alike: dict[object, list[tuple[int, int]]] = {}
    for point in returns:
        alike.setdefault(measures[point], []).append(point)
    best: list[tuple[int, int]] = []
    for some in alike.values():
        ranked = sorted(some, key=lambda point: -np.nan_to_num(returns[point], nan=-np.inf))
        best += ranked[: -(-len(some) // eta)]
    return sorted(best)


def measured_alike(config: SweepConfig, points: LearnerHyper) -> dict[tuple[int, int], object]:
    """What the return of each group's points means: points of equal values compare."""
    names, leaves = config.measures(), numbers(points)
    return {
        (group, point): tuple(leaves[name][point] if name in leaves else getattr(static, name) for name in names)
        for group, static in enumerate(config.statics)
        for point in range(len(leaves["learning_rate"]))
    }


def work(config: SweepConfig) -> tuple[int, float]:
    """Runs and updates of all rungs together; updates as if all shapes had those of the first."""
    assert config.halving is not None
    alike = list(measured_alike(config, config.points()).values())
    sizes = [alike.count(value) for value in dict.fromkeys(alike)]
    runs, updates = 0, 0
    for rung in range(config.halving.rungs):
        runs += sum(sizes) * config.seeds
        updates += sum(sizes) * config.seeds * config.halving.updates(rung, config.statics[0])
        sizes = [-(-size // config.halving.eta) for size in sizes]
    return runs, updates


STUDY = "optuna.db"

# Optuna's pruners are not used: they stop a trial between two of its reports, but a batch is one compiled program,
# whose runs all go to their end. `halving` gives up the worst points between programs instead.


def adapt(config: SweepConfig, progress: bool | Watcher) -> list[Part]:
    """Train batch after batch of points; those of a batch that share their shapes are one sweep.

    The objective is the mean validation return over seeds. The study is kept in the folder, and a point depends on
    the points before it and the seed only, so that a search that was cut off ends as it would have.

    Raises:
      InputError: if Optuna is not installed.
    """
    _optuna()
    parts = Parts(config, progress)
    study = _Study(config.out / STUDY, config)
    for batch, start in enumerate(range(0, config.count, config.batch)):
        trials = study.trials(start, min(start + config.batch, config.count))
        settings = [study.settings(trial) for trial in trials]
        statics = [_static(config, values) for values in settings]
        values = np.zeros(len(trials))
        for group, static in enumerate(dict.fromkeys(statics)):
            here = [position for position, its_static in enumerate(statics) if its_static == static]
            hypers = stack([_hyper(config, settings[position]) for position in here])
            part = parts.train(f"batch-{batch:03d}-group-{group}", {"batch": batch}, static, hypers)
            values[here] = means_by_point(part)
        study.tell(trials, values)
    parts.write_frame()
    return parts.done


class _Study:
    """An Optuna study on disk.

    Trials that were cut off while being asked are failed and not counted; all others are whole.
    """

    def __init__(self, path: Path, config: SweepConfig) -> None:
        optuna = _optuna()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._choices = {
            name: {_label(value): value for value in choice}
            for name, choice in (config.searched.shapes | config.searched.numbers).items()
            if not isinstance(choice, Uniform)
        }
        self._distributions = {
            name: optuna.distributions.FloatDistribution(choice.low, choice.high, log=choice.logarithmic)
            for name, choice in config.searched.numbers.items()
            if isinstance(choice, Uniform)
        } | {name: optuna.distributions.CategoricalDistribution(list(labels)) for name, labels in self._choices.items()}
        if LEARNER not in self._distributions:
            self._choices[LEARNER] = {name: name for name in config.train.learners}
            self._distributions[LEARNER] = optuna.distributions.CategoricalDistribution(list(config.train.learners))
        self._seed = config.seed
        # SQLite and not a journal file: a process killed while it appends to a journal leaves half a line there.
        self._study = optuna.create_study(
            storage=f"sqlite:///{path.absolute()}", study_name="sweep", direction="maximize", load_if_exists=True
        )

    def trials(self, start: int, end: int) -> list[Any]:
        """The trials at those positions: as they were asked for before, or new."""
        state = _optuna().trial.TrialState
        for trial in self._study.get_trials(states=(state.RUNNING,)):
            if set(trial.params) != set(self._distributions):  # cut off in the middle of asking
                self._study.tell(trial.number, state=state.FAIL)
        while len(whole := self._whole()) < end:
            # A sampler anew for each trial: how far an old one's generator had come is not kept in the study.
            seed = (self._seed * 1_000_003 + len(whole)) % 2**32  # NumPy's generator takes no larger one
            self._study.sampler = _optuna().samplers.TPESampler(seed=seed)
            self._study.ask(self._distributions)
        return whole[start:end]

    def settings(self, trial: Any) -> dict[str, Any]:
        """Values by their names."""
        return {
            name: self._choices[name][value] if name in self._choices else value for name, value in trial.params.items()
        }

    def tell(self, trials: list[Any], values: np.ndarray) -> None:
        """The mean returns; a point whose return never was a number is told as pruned, so that it keeps its place."""
        state = _optuna().trial.TrialState
        for trial, value in zip(trials, values, strict=True):
            if trial.state == state.RUNNING:
                worst = not np.isfinite(value)
                self._study.tell(trial.number, None if worst else float(value), state.PRUNED if worst else None)

    def _whole(self) -> list[Any]:
        state = _optuna().trial.TrialState
        return self._study.get_trials(states=(state.RUNNING, state.COMPLETE, state.PRUNED))


def _static(config: SweepConfig, settings: Mapping[str, Any]) -> LearnerStatic:
    shapes = {name: settings[name] for name in (LEARNER, *config.searched.shapes)}
    return shaped(shapes, config.train.static)


def _hyper(config: SweepConfig, settings: Mapping[str, Any]) -> LearnerHyper:
    return with_numbers(config.train.hyper, {name: settings[name] for name in config.searched.numbers})


def _label(value: Any) -> Any:
    """A choice as Optuna keeps it."""
    return str(list(value)) if isinstance(value, tuple) else value


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise InputError("draw is optuna, which is not installed; pip install 'hierrouter_jax[search]'") from None
    return optuna
