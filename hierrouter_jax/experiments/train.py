"""Training of routers on an outcome table: several seeds in one program, the best chosen on validation."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import jax
import numpy as np
import pandas as pd
from tqdm import tqdm

from hierrouter_jax.agents import learner
from hierrouter_jax.agents.types import LearnerHyper, LearnerState, LearnerStatic
from hierrouter_jax.envs.types import DeviceTable
from hierrouter_jax.errors import InputError
from hierrouter_jax.experiments.features import fit_features
from hierrouter_jax.experiments.routers import LearnerName, TrainedRouter, static_of
from hierrouter_jax.outcomes.table import OutcomeTable


@dataclass(frozen=True)
class TrainConfig:
    """How routers are trained; all defaults are ours, the paper gives none.

    Attributes:
      learners: `ppo` makes exactly L calls, as in the paper; `exact` climbs the exact expected return instead, and
        `all-actions` PPO's objective over whole hop trees. With `+stop` they may stop after any call (our extension).
      num_seeds: independent runs of each; the best on validation is the policy.
      seed: of the first; also of the features' solver.
      features: principal components of the context embedding that the network sees.
      static: what fixes the learner's shapes. `algorithm` and `allow_stop` are set by the learner's name.
      hyper: the learner's numbers, the reward's weights among them.
    """

    learners: tuple[LearnerName, ...] = ("ppo", "ppo+stop")
    num_seeds: int = 5
    seed: int = 0
    features: int = 96
    static: LearnerStatic = field(default_factory=LearnerStatic)
    hyper: LearnerHyper = field(default_factory=LearnerHyper)

    def __post_init__(self) -> None:
        if not self.learners or len(set(self.learners)) != len(self.learners):
            raise InputError(f"learners must be one or more different names, not {list(self.learners)}")
        if self.num_seeds < 1 or self.features < 1:
            raise InputError("num_seeds and features must be at least 1")


def train_routers(
    table: OutcomeTable, config: TrainConfig, progress: bool = True
) -> tuple[dict[str, TrainedRouter], pd.DataFrame]:
    """Train every learner of the configuration.

    Returns:
      Trained routers by name, and the metrics: a row per learner, seed and update.
    """
    features = fit_features(table.split("train"), config.features, config.seed)
    train, validation = features.on_device(table.split("train")), features.on_device(table.split("validation"))
    routers, metrics = {}, []
    for name in config.learners:
        static = static_of(name, config.static)
        state, rows = _train_seeds(name, train, validation, static, config, progress)
        routers[name] = TrainedRouter(name, static, config.hyper, state, features)
        metrics.append(rows)
    return routers, pd.concat(metrics, ignore_index=True)


def seed_keys(config: TrainConfig) -> jax.Array:
    """A key per seed [S]; the same key trains the same policy alone and in a batch of seeds."""
    return jax.vmap(jax.random.key)(config.seed + np.arange(config.num_seeds))


def _train_seeds(
    name: str, train: DeviceTable, validation: DeviceTable, static: LearnerStatic, config: TrainConfig, progress: bool
) -> tuple[LearnerState, pd.DataFrame]:
    """All seeds of a learner, block by block so that progress shows; `lax.map` is bit-equal to each seed alone."""

    @jax.jit
    def start(keys: jax.Array, train: DeviceTable) -> LearnerState:
        return jax.lax.map(lambda key: learner.init(key, train, static, config.hyper), keys)

    @partial(jax.jit, donate_argnums=0)
    def advance(
        state: LearnerState, train: DeviceTable, validation: DeviceTable
    ) -> tuple[LearnerState, learner.Metrics]:
        return jax.lax.map(lambda one: learner.advance(one, train, validation, static, config.hyper), state)

    state = start(seed_keys(config), train)
    rows = []
    for block in _bar(name, static.num_updates // static.evaluate_every, progress):
        state, metrics = advance(state, train, validation)
        rows.append(_rows(name, block, jax.device_get(metrics), static.num_envs * train.tree.horizon))
    return jax.device_get(replace(state, key=jax.random.key_data(state.key))), pd.concat(rows, ignore_index=True)


def _bar(name: str, blocks: int, progress: bool) -> Iterator[int]:
    with tqdm(total=blocks, desc=f"train {name}", unit="block", disable=not progress) as bar:
        for block in range(blocks):
            yield block
            bar.update()


def _rows(name: str, block: int, metrics: dict[str, np.ndarray], steps_per_update: int) -> pd.DataFrame:
    """A block's metrics as rows; validation stands in the row of the block's last update."""
    seeds, updates = metrics["train_return"].shape
    frame = {key: value.ravel() for key, value in metrics.items() if value.ndim == 2}
    update = np.tile(1 + block * updates + np.arange(updates), seeds)
    for key in ("validation_return", "validation_accuracy"):
        column = np.full((seeds, updates), np.nan, dtype=np.float32)
        column[:, -1] = metrics[key]
        frame[key] = column.ravel()
    seed = np.repeat(np.arange(seeds), updates)
    steps = update * steps_per_update
    return pd.DataFrame({"learner": name, "seed": seed, "update": update, "env_steps": steps} | frame)
