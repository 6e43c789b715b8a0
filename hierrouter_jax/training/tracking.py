"""Training's metrics in TensorBoard, W&B or MLflow as well: one adapter, a tracked run for each learner and seed.

A run that goes on after an interruption begins its tracked runs anew, with all of their metrics from the start: each
value stands there once, whenever the interruption came. A tracker that cannot start stops the command before anything
is trained; one that fails later is given up with one sentence, and training goes on.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from flax.traverse_util import flatten_dict

from hierrouter_jax.errors import InputError, nearest, reason_of
from hierrouter_jax.files import file_name


class Tracker(Protocol):
    """Where one learner's one seed is tracked; `folder` is the run folder, `run` tells it from others there."""

    def start(self, folder: Path, run: str, config: dict[str, Any]) -> None: ...

    def log(self, row: dict[str, float], step: int) -> None: ...

    def finish(self) -> None: ...


class TensorBoard:
    """Event files in `tensorboard/`; the package needs no TensorFlow."""

    def start(self, folder: Path, run: str, config: dict[str, Any]) -> None:
        path = folder / "tensorboard" / run
        shutil.rmtree(path, ignore_errors=True)
        self._writer = _package("tensorboard.summary", "tensorboard").Writer(str(path))

    def log(self, row: dict[str, float], step: int) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name, np.float32(value), step)

    def finish(self) -> None:
        self._writer.close()


class WandB:
    """Weights & Biases in `wandb/`: offline, for `wandb sync`, unless WANDB_MODE says otherwise."""

    def start(self, folder: Path, run: str, config: dict[str, Any]) -> None:
        wandb = _package("wandb", "wandb")
        key = _key(folder, run)
        for old in (folder / "wandb").glob(f"offline-run-*-{key}"):
            shutil.rmtree(old)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "hierrouter"),
            dir=folder,
            id=key,
            name=f"{folder.name} {run}",
            group=folder.name,
            config=config,
            mode=os.environ.get("WANDB_MODE", "offline"),
            resume="allow",  # steps that are there already are not taken again
            reinit="create_new",  # a run for each seed at the same time
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True, x_disable_meta=True),
        )

    def log(self, row: dict[str, float], step: int) -> None:
        self._run.log(row, step=step)

    def finish(self) -> None:
        self._run.finish()


class MLflow:
    """MLflow in `mlruns/`, unless MLFLOW_TRACKING_URI says otherwise."""

    def start(self, folder: Path, run: str, config: dict[str, Any]) -> None:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # plain files need no database beside the run
        mlflow, self._entities = _package("mlflow", "mlflow-skinny"), _package("mlflow.entities", "mlflow-skinny")
        store = os.environ.get("MLFLOW_TRACKING_URI") or (folder / "mlruns").absolute().as_uri()
        self._client = mlflow.MlflowClient(tracking_uri=store)
        known = self._client.get_experiment_by_name("hierrouter")
        experiment = known.experiment_id if known else self._client.create_experiment("hierrouter")
        tag = {"hierrouter.run": _key(folder, run)}
        for old in self._client.search_runs([experiment], f"tags.`hierrouter.run` = '{_key(folder, run)}'"):
            self._client.delete_run(old.info.run_id)
        name = f"{folder.name} {run}"
        self._id = self._client.create_run(experiment, tags=tag, run_name=name).info.run_id
        params = [self._entities.Param(key, str(value)[:500]) for key, value in flatten_dict(config, sep=".").items()]
        self._client.log_batch(self._id, params=params)

    def log(self, row: dict[str, float], step: int) -> None:
        metrics = [self._entities.Metric(name, float(value), 0, step) for name, value in row.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def finish(self) -> None:
        self._client.set_terminated(self._id)


TRACKERS: dict[str, type[Tracker]] = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}
_PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow-skinny"}


class Tracking:
    """All trackers of a run folder.

    Args:
      names: names of `TRACKERS`, one or more with commas between them; may be empty.
      folder: path of the run folder.
      config: configuration of the run, as plain data.

    Raises:
      InputError: if a name is unknown, or its package is not installed.
    """

    def __init__(self, names: str, folder: Path, config: dict[str, Any]) -> None:
        chosen = [name.strip() for name in names.split(",") if name.strip()]
        for name in chosen:
            if name not in TRACKERS:
                raise InputError(f"track: {name!r} is unknown; {nearest(name, TRACKERS)}")
            _package(name, _PACKAGES[name])
        self._names, self._folder, self._config = chosen, folder, config
        self._open: dict[str, dict[int, Tracker]] = {}  # by name of the tracker and position of the seed
        self._begun = False

    def begin(self, learner: str, seeds: Sequence[int]) -> None:
        """Begin the tracked runs of a learner's seeds, and end those of the learner before.

        A tracked run is named by the seed's position, as in `metrics.parquet`; its configuration has the seed itself.

        Raises:
          InputError: if a tracker cannot start, and none has before.
        """
        self.finish()
        for name in list(self._names):
            try:
                for position, seed in enumerate(seeds):
                    described = {**self._config, "learner": learner, "seed": seed}
                    tracker = TRACKERS[name]()
                    tracker.start(self._folder, f"{file_name(learner)}-seed-{position}", described)
                    self._open.setdefault(name, {})[position] = tracker
            except InputError:
                raise
            except Exception as error:  # of somebody else's client, server or network
                if not self._begun:
                    raise InputError(
                        f"track: {name} does not start ({reason_of(error)}); set it right, or leave it out of --track: "
                        "metrics.parquet is written anyway"
                    ) from error
                self._give_up(name, error)
        self._begun = True

    def log(self, rows: pd.DataFrame) -> None:
        """Rows as `metrics.parquet` has them: one a seed and update; what was not measured is left out."""
        if not self._names:
            return
        for row in rows.drop(columns="learner").to_dict("records"):
            seed, step = int(row.pop("seed")), int(row.pop("update"))
            measured = {name: float(value) for name, value in row.items() if np.isfinite(value)}
            for name in list(self._open):
                try:
                    self._open[name][seed].log(measured, step)
                except Exception as error:
                    self._give_up(name, error)

    def finish(self) -> None:
        """End all tracked runs that are going."""
        going, self._open = self._open, {}
        for name, trackers in going.items():
            try:
                for tracker in trackers.values():
                    tracker.finish()
            except Exception as error:
                self._give_up(name, error)

    def _give_up(self, name: str, error: Exception) -> None:
        """Go on without a tracker; a run is worth more than its curves elsewhere."""
        self._open.pop(name, None)
        self._names.remove(name)
        print(f"track: {name} is given up ({reason_of(error)}); metrics.parquet is written anyway", file=sys.stderr)


@contextmanager
def tracked(names: str, folder: Path, config: dict[str, Any]) -> Iterator[Tracking]:
    """Trackers that are finished in the end, also after an interruption."""
    tracking = Tracking(names, folder, config)
    try:
        yield tracking
    finally:
        tracking.finish()


def _key(folder: Path, run: str) -> str:
    """The same for the same run of the same folder."""
    return hashlib.sha256(f"{folder.absolute()}/{run}".encode()).hexdigest()[:16]


def _package(module: str, name: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise InputError(f"track: {name} is not installed; pip install 'hierrouter_jax[track]'") from None
