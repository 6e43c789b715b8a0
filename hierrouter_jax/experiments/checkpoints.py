"""Trained routers on disk: one Orbax checkpoint a learner, with what was fitted on the training split."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.serialization import from_state_dict, to_state_dict
from flax.traverse_util import flatten_dict

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.types import LearnerState
from hierrouter_jax.bundle import FeatureReduction
from hierrouter_jax.config import from_dict, load_yaml
from hierrouter_jax.envs.types import device_table
from hierrouter_jax.errors import InputError
from hierrouter_jax.experiments.features import FittedFeatures
from hierrouter_jax.experiments.routers import TrainedRouter, static_of
from hierrouter_jax.experiments.train import TrainConfig, seed_keys
from hierrouter_jax.outcomes.table import OutcomeTable

FOLDER = "checkpoints"


def save_routers(run: Path, routers: dict[str, TrainedRouter]) -> None:
    """Write every learner's states of all seeds."""
    from orbax.checkpoint import v1 as ocp  # seconds to import, and most commands do without

    for name, router in routers.items():
        tree = {
            "state": router.state,
            "reduction": asdict(router.features.reduction),
            "cost_normaliser": np.asarray(router.features.cost_normaliser),
        }
        ocp.save(str((run / FOLDER / name).absolute()), to_state_dict(tree), overwrite=True)


def load_routers(run: Path, table: OutcomeTable) -> dict[str, TrainedRouter]:
    """Read the routers of a run folder back.

    Args:
      table: the outcome table of the run, whose pool and horizon fix the shapes.

    Raises:
      InputError: if the folder holds no finished training, or one of another pool or horizon.
    """
    from orbax.checkpoint import v1 as ocp

    config = read_train_config(run)
    embedding = table.context_embedding.shape[-1]
    size = min(config.features, embedding)
    routers = {}
    for name in config.learners:
        path = (run / FOLDER / name).absolute()
        if not path.is_dir():
            raise InputError(f"{path}: no such checkpoint; train first: hierrouter train --table TABLE --out {run}")
        static = static_of(name, config.static)
        template = {
            "state": _blank_state(table, config, size),
            "reduction": {
                "mean": np.zeros(embedding, np.float32),
                "components": np.zeros((embedding, size), np.float32),
                "scale": np.zeros(size, np.float32),
            },
            "cost_normaliser": np.zeros(()),
        }
        tree = _fitted(template, ocp.load(str(path)), path)
        reduction = FeatureReduction(**{key: np.asarray(leaf) for key, leaf in tree["reduction"].items()})
        features = FittedFeatures(reduction, float(tree["cost_normaliser"]))
        routers[name] = TrainedRouter(name, static, config.hyper, jax.device_get(tree["state"]), features)
    return routers


def read_train_config(run: Path) -> TrainConfig:
    """The training configuration that a run folder was made with."""
    if not run.is_dir():
        raise InputError(f"{run}: no such run folder")
    path = run / "config.yaml"
    resolved = load_yaml(path)
    if "train" not in resolved:
        raise InputError(f"{path}: holds no training; train first: hierrouter train --table TABLE --out {run}")
    return from_dict(TrainConfig, resolved["train"], path)


def _fitted(template: dict, loaded: Any, path: Path) -> dict:
    """The loaded arrays in the template's structure, refused where a shape differs (Orbax would pad or cut them)."""
    wanted, found = _shapes(template), _shapes(loaded)
    for name, shape in wanted.items():
        if found.get(name) != shape:
            raise InputError(
                f"{path}: does not fit the table's pool, horizon and embedding "
                f"({name} is {found.get(name, 'missing')}, not {shape})"
            )
    return from_state_dict(template, loaded)


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves: dict[str, Any] = flatten_dict(to_state_dict(tree), sep="/")
    return {name: np.shape(leaf) for name, leaf in leaves.items()}


def _blank_state(table: OutcomeTable, config: TrainConfig, features: int) -> LearnerState:
    """Stacked states of the right shapes, all zero."""
    tree = table.tree

    def states():

        one = table.select(np.arange(1))
        device = device_table(one, np.zeros((1, tree.num_decision_nodes, features), np.float32), 1.0)
        state = jax.vmap(lambda key: learner.init(key, device, config.static, config.hyper))(seed_keys(config))
        return replace(state, key=jax.random.key_data(state.key))

    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(states))
