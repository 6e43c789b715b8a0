"""Checkpoints of a run: its learners' states as training goes, to go on from, to evaluate and to export."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.serialization import from_state_dict, to_state_dict

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.types import LearnerState
from hierrouter_jax.claims import claim, refuse_other_table
from hierrouter_jax.config import from_dict, load_yaml
from hierrouter_jax.envs.types import device_table, single_precision
from hierrouter_jax.errors import InputError, nearest
from hierrouter_jax.files import file_name, read_json, write_json
from hierrouter_jax.interrupts import interrupts_put_off
from hierrouter_jax.outcomes.table import OutcomeTable
from hierrouter_jax.sums import begin_sums, remove
from hierrouter_jax.training.features import FEATURES, FittedFeatures, fitted_once, load_features
from hierrouter_jax.training.router import DIVERGED, TrainedRouter
from hierrouter_jax.training.run_folder import (
    IDENTITY,
    training_identity,
    training_record,
)
from hierrouter_jax.training.settings import LearnerSettings, TrainConfig
from hierrouter_jax.training.steps import START_ANEW, Steps, flat
from hierrouter_jax.training.train import Progress, seed_keys

FOLDER = "checkpoints"
FINISHED = "run.json"  # is written last
_WORST = -1e30  # what a step counts for whose parameters have all diverged; JSON knows no infinity
RESULTS = (FINISHED, "metrics.parquet", "evaluation.json", "behaviour.json")


class RunCheckpoints:
    """What training keeps in a run folder, every learner's steps by the updates done; a `Keeper` for `train_routers`.

    Leave the context, and all that was kept is on disk.

    Args:
      run: path of the run folder.
      table, config: outcome table and configuration that training is to go on with.
      fresh: whether to discard what the folder holds of an earlier training.

    Attributes:
      resumed: updates done when the folder was opened, by learner; those without a checkpoint are left out.
      finished: whether training was complete then, with all that is written after it.

    Raises:
      InputError: if the folder holds a training with another configuration, table or version, and not `fresh`.
    """

    def __init__(self, run: Path, table: OutcomeTable, config: TrainConfig, fresh: bool = False) -> None:
        if fresh:
            discard(run)
        self._folder, self._table, self._config = run / FOLDER, table, config
        there, here = training_record(self._folder), training_identity(table, config)
        if there == {}:
            missing = f"{FOLDER}/{IDENTITY} is missing, which says what the checkpoints are of"
            raise InputError(f"{run}: {missing}; {START_ANEW}")
        if there is not None:
            claim(run, "training", there, here, START_ANEW)
        else:
            remove(self._folder / FEATURES)
            begin_sums(run)
            write_json(self._folder / IDENTITY, here)
        self._steps = {name: Steps(self._path(name), config.keep_every, writes=True) for name in config.learners}
        self.resumed = {name: done[-1] for name, steps in self._steps.items() if (done := steps.on_disk())}
        whole = all(self.resumed.get(name) == config.static.num_updates for name in config.learners)
        self.finished = whole and (run / FINISHED).is_file()

    def __enter__(self) -> "RunCheckpoints":
        return self

    def __exit__(self, *_: object) -> None:
        with interrupts_put_off(), ExitStack() as stack:  # the others are closed, too, when writing one has failed
            for steps in self._steps.values():
                stack.enter_context(steps)

    def _path(self, name: str) -> Path:
        return self._folder / file_name(name)

    def features(self, fit: Callable[[], FittedFeatures]) -> FittedFeatures:
        """The run's fitted features, written when they are first asked for."""
        fitted_once(self._folder / FEATURES, fit)
        return _features(self._folder / FEATURES, self._table)

    def restored(self, name: str) -> Progress | None:
        """How far a learner had come; None if it has no checkpoint."""
        if name not in self.resumed:
            return None
        step = self.resumed[name]
        return _progress(self._template, self._steps[name].load(step), self._path(name) / str(step))

    @cached_property
    def _template(self) -> LearnerState:
        features = _features(self._folder / FEATURES, self._table)
        return _blank_state(self._table, self._config.of(self._config.learners[0]), features)

    def keep(self, name: str, progress: Progress) -> None:
        """Begin to write how far a learner has come; its arrays must not change any more."""
        tree = {"state": to_state_dict(progress.state), "metrics": progress.metrics}
        value = progress.metrics["validation_return"][-1]
        best = np.where(np.isfinite(value), value, _WORST).max()
        self._steps[name].save(progress.updates, tree, float(best))

    def describe(self) -> str:
        """How far each learner has come on disk, in words."""
        done = []
        for name in self._steps:
            with Steps(self._path(name), self._config.keep_every) as steps:
                done += [f"{name} at update {step}" for step in steps.on_disk()[-1:]]
        return f"{', '.join(done)} of {self._config.static.num_updates}" if done else "no checkpoint yet"


def discard(run: Path) -> None:
    """Remove what training left in a run folder; the checkpoints go in one move, so that no half of them remains."""
    for name in RESULTS:
        remove(run / name)
    old = run / f".{FOLDER}.discarded"
    shutil.rmtree(old, ignore_errors=True)
    if (run / FOLDER).exists():
        (run / FOLDER).rename(old)
        shutil.rmtree(old)
    for name in (IDENTITY, FEATURES):
        remove(run / FOLDER / name)  # their lines: the files went with the folder


@single_precision
def load_routers(
    run: Path, table: OutcomeTable, step: int | None = None, learners: Sequence[str] = ()
) -> dict[str, TrainedRouter]:
    """Read the routers of a run folder back.

    Args:
      table: outcome table of the run, perhaps with new prices.
      step: updates done; the routers have the parameters of that update. By default training must have finished,
        and every seed has its best on validation.
      learners: names of the learners; by default all that did not diverge in every seed.

    Raises:
      InputError: if the folder holds no finished training, one on another table, did not keep the step, or a learner
        that is asked for is none of the run's or diverged, or every one diverged.
    """
    config = read_train_config(run)
    for name in learners:
        if name not in config.learners:
            raise InputError(f"{run}: learner {name!r} is none of the run's; {nearest(name, config.learners)}")
    if (run / FOLDER / FEATURES).is_file():
        refuse_other_table(run, read_json(run / FOLDER / IDENTITY)["table"], table)
    features = _features(run / FOLDER / FEATURES, table)
    update = config.static.num_updates if step is None else step
    template, routers = _blank_state(table, config.of(config.learners[0]), features), {}
    for name in learners or config.learners:
        path = run / FOLDER / file_name(name)
        with Steps(path, config.keep_every) as steps:
            on_disk = steps.on_disk()
            if update not in on_disk:
                raise InputError(f"{path}: {_lacking(on_disk, step, update, run)}")
            progress = _progress(template, steps.load(update), path / str(update))
        state = progress.state if step is None else _as_it_was(progress)
        settings = config.of(name)
        routers[name] = TrainedRouter(name, settings.static, settings.hyper, state, features, settings.seeds)
    lost = [name for name, router in routers.items() if router.diverged.all()]
    if lost and (learners or len(lost) == len(routers)):
        raise InputError(f"{run}: {', '.join(lost)}: {DIVERGED}")
    return {name: router for name, router in routers.items() if name not in lost}


def read_train_config(run: Path) -> TrainConfig:
    """The training configuration that a run folder was made with."""
    if not run.is_dir():
        raise InputError(f"{run}: no such run folder")
    path = run / "config.yaml"
    resolved = load_yaml(path)
    if "train" not in resolved:
        raise InputError(f"{path}: holds no training; train first: hierrouter train TABLE --out {run}")
    return from_dict(TrainConfig, resolved["train"], path)


def _lacking(on_disk: list[int], step: int | None, update: int, run: Path) -> str:
    named = ", ".join(map(str, on_disk)) or "none"
    if step is not None:
        return f"step {step} was not kept; those that were: {named}"
    return f"training was interrupted before update {update} (kept: {named}); go on: hierrouter train TABLE --out {run}"


def _features(path: Path, table: OutcomeTable) -> FittedFeatures:
    """What a run fitted on its training split, refused where it does not fit the table's embedding."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; train first: hierrouter train TABLE --out {path.parent.parent}")
    features = load_features(path)
    _check_shape(path, "mean", features.reduction.mean.shape, table.context_embedding.shape[-1:])
    return features


def _progress(template: LearnerState, loaded: Any, path: Path) -> Progress:
    """The loaded arrays in the template's structure, refused where a shape differs (Orbax would pad or cut them)."""
    right, shapes = ({k: np.shape(v) for k, v in flat(tree).items()} for tree in (template, loaded["state"]))
    for name, shape in right.items():
        _check_shape(path, name, shapes.get(name, "missing"), shape)
    state: Any = from_state_dict(template, loaded["state"])
    return Progress(state, loaded["metrics"])


def _check_shape(path: Path, name: str, shape: tuple[int, ...] | str, right: tuple[int, ...]) -> None:
    if shape != right:
        raise InputError(
            f"{path}: does not fit the table's pool, horizon and embedding ({name} is {shape}, not {right})"
        )


def _as_it_was(progress: Progress) -> LearnerState:
    """The state with the parameters of its own update in the place of the best so far."""
    state, value = progress.state, progress.metrics["validation_return"][-1]
    return replace(state, best_params=state.params, best_return=value, best_update=state.update)


def _blank_state(table: OutcomeTable, settings: LearnerSettings, features: FittedFeatures) -> LearnerState:
    """Stacked states of the right shapes, which are the same for every learner, without arrays."""
    inputs = np.zeros((1, table.tree.num_decision_nodes, features.reduction.scale.shape[0]), np.float32)

    def states() -> LearnerState:
        device = device_table(table.select(np.arange(1)), inputs, 1.0)
        state = jax.vmap(lambda key: learner.init(key, device, settings.static, settings.hyper))(seed_keys(settings))
        return replace(state, key=jax.random.key_data(state.key))

    return jax.eval_shape(states)
