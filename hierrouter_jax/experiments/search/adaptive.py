"""Adaptive search by Optuna: each batch of points is asked for, trained as sweeps, and told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hierrouter_jax.agents.types import LearnerHyper, LearnerStatic
from hierrouter_jax.errors import InputError
from hierrouter_jax.experiments.draws import Uniform
from hierrouter_jax.experiments.hypers import stack, with_numbers
from hierrouter_jax.experiments.search.config import SweepConfig
from hierrouter_jax.experiments.search.parts import Part, Parts, means_by_point
from hierrouter_jax.experiments.search.space import LEARNER, shaped
from hierrouter_jax.experiments.sweep import Watcher

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
        trials = study.asked(start, min(start + config.batch, config.count))
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
    """An Optuna study on disk whose trials are whole or failed, and counted without those that failed half asked."""

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

    def asked(self, start: int, end: int) -> list[Any]:
        """The trials at those positions: as they were asked for before, or new."""
        state = _optuna().trial.TrialState
        for trial in self._study.get_trials(states=(state.RUNNING,)):
            if set(trial.params) != set(self._distributions):  # cut off in the middle of asking
                self._study.tell(trial.number, state=state.FAIL)
        while len(whole := self._whole()) < end:
            # A sampler anew for each trial: how far an old one's generator had come is not kept in the study.
            self._study.sampler = _optuna().samplers.TPESampler(seed=self._seed * 1_000_003 + len(whole))
            self._study.ask(self._distributions)
        return whole[start:end]

    def settings(self, trial: Any) -> dict[str, Any]:
        """Values by their names."""
        return {
            name: self._choices[name][value] if name in self._choices else value for name, value in trial.params.items()
        }

    def tell(self, trials: list[Any], values: np.ndarray) -> None:
        """The mean returns; a point whose return never was a number is told as failed, and keeps its place."""
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
